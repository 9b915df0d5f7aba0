def first_square_above(limit):
    n = 0
    while True:
        n += 1
        if n * n > limit:
            return n


print(first_square_above(10), first_square_above(0))
