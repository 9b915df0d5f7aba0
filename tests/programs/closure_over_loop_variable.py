def f():
    functions = []
    for n in range(3):
        def g():
            return n
        functions.append(g)
    return [g() for g in functions]


print(f())
