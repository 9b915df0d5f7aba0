def f(n):
    if n % 2:
        return n
    return -n


print([f(n) for n in range(5)])
print([f(n) and f(n + 1) for n in range(4)])
