def f(n):  # 1
    try:  # 2
        if n:  # 2
            raise ValueError(n)  # 1
        return "try"  # 1
    finally:
        return "finally"  # 2


print(f(0), f(1))  # 1
