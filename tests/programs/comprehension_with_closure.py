def f():
    k = 10
    adders = [lambda n, m=m: n + m + k for m in range(3)]
    k = 20
    return [add(1) for add in adders]


print(f())
