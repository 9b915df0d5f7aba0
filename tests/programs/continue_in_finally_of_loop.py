def f():  # 1
    seen = []  # 1
    for n in range(3):  # 4
        try:  # 3
            seen.append(n)  # 3
            raise ValueError(n)  # 3
        finally:
            continue  # 3
    return seen  # 1


print(f())  # 1
