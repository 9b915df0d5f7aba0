def f():  # 1
    for n in range(3):  # 1
        try:  # 1
            1 / 0  # 1
        finally:
            break  # 1
    return n  # 1


print(f())  # 1
