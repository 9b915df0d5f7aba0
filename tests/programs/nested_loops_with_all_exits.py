def f(target):
    for a in range(4):
        for b in range(4):
            if a == b:
                continue
            if a + b == target:
                break
            if a * b == target:
                return "product", a, b
        else:
            continue
        return "sum", a, b
    return "none"


print([f(target) for target in (0, 1, 5, 6, 12, 99)])
