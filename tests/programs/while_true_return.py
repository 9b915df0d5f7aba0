def first_square_above(limit):  # 1
    n = 0  # 2
    while True:  # 5
        n += 1  # 5
        if n * n > limit:  # 5
            return n  # 2


print(first_square_above(10), first_square_above(0))  # 1
