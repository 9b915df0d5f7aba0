def f(text):  # 1
    try:  # 3
        n = int(text)  # 3
        n += 1  # 2
    except ValueError:  # 1
        n = 0  # 1
    return n  # 3


print(f("1"), f("x"), f("2"))  # 1
