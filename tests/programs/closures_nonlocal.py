def counter():  # 1
    count = 0  # 1

    def increment():  # 1
        nonlocal count
        count += 1  # 4
        return count  # 4

    def reset():  # 1
        nonlocal count
        count = 0  # 1

    return increment, reset  # 1


up, zero = counter()  # 1
up()  # 1
up()  # 1
print(up())  # 1
zero()  # 1
print(up())  # 1
