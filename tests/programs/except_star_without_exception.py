def f(n):
    try:
        n += 1
    except* ValueError:
        n = 0
    else:
        n += 10
    return n


print(f(1), f(2))
