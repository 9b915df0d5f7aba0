def f(target):  # 1
    for a in range(4):  # 18
        for b in range(4):  # 72
            if a == b:  # 60
                continue  # 16
            if a + b == target:  # 44
                break  # 2
            if a * b == target:  # 42
                return "product", a, b  # 2
        else:
            continue  # 12
        return "sum", a, b  # 2
    return "none"  # 2


print([f(target) for target in (0, 1, 5, 6, 12, 99)])  # 8, from 3.12: 7
