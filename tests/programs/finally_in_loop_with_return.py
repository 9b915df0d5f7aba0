def f(limit):
    for n in range(10):
        try:
            if n == limit:
                return n
        finally:
            n += 100
    return -1


print(f(3), f(20))
