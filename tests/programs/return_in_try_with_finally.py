def f(n):  # 1
    try:  # 3
        if n == 1:  # 3
            return "one"  # 1
        if n == 2:  # 2
            return "two"  # 1
    finally:
        print("leaving", n)  # 3
    return "many"  # 1


print(f(1), f(2), f(3))  # 1
