def counter():
    count = 0

    def increment():
        nonlocal count
        count += 1
        return count

    def reset():
        nonlocal count
        count = 0

    return increment, reset


up, zero = counter()
up()
up()
print(up())
zero()
print(up())
