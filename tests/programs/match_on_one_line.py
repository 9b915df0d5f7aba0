def f(value):  # 1
    match value:  # 4
        case 0: return "zero"  # 4
        case [a, b]: return a  # 3
        case {"k": v}: c = v; return c  # 2
        case _: return None  # 1


print(f(0), f([1, 2]), f({"k": 3}), f(4))  # 1
