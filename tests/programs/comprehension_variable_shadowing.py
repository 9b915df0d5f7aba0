n = "outer"
items = [n for n in range(2)]
print(n, items)


def f(n):
    items = [n for n in range(n)]
    return n, items


print(f(3))
