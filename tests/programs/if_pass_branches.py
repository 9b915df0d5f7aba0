def f(n):
    if n == 0:
        pass
    elif n == 1:
        ...
    else:
        n = 5
    if n:
        pass
    return n


print(f(0), f(1), f(2))
