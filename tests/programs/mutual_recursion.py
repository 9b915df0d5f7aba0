def even(n):  # 1
    return True if n == 0 else odd(n - 1)  # 12


def odd(n):  # 1
    if n == 0:  # 11
        return False  # 1
    return even(n - 1)  # 10


print(even(10), odd(7), even(3))  # 1
