class Config:
    values = []
    for n in range(3):
        if n % 2:
            values.append(n)
        else:
            values.append(-n)
    try:
        missing
    except NameError:
        fallback = True
    else:
        fallback = False
    while n:
        n -= 1
    with open(__file__) as source:
        first = source.read(5)


print(Config.values, Config.fallback, Config.n, Config.first)
