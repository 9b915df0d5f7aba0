def f(n):
    return n * n


print([y for n in range(6) if (y := f(n)) % 2], y)
