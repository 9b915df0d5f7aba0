def f(value):
    match value:
        case 0: return "zero"
        case [a, b]: return a
        case {"k": v}: c = v; return c
        case _: return None


print(f(0), f([1, 2]), f({"k": 3}), f(4))
