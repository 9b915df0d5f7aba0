add = lambda a, b: a + b
print(add(1, 2), add(3, 4))
print(list(map(lambda n: n * n, range(4))))
