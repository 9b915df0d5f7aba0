def f(n):  # 1
    if n == 0:  # 3
        pass  # 1
    elif n == 1:  # 2
        ...  # 1
    else:
        n = 5  # 1
    if n:  # 3
        pass  # 2
    return n  # 3


print(f(0), f(1), f(2))  # 1
