print(sum(n for n in range(5)))
print(sorted(-n for n in range(4)))
print(dict((n, n) for n in range(2)), tuple(n for n in ()))
