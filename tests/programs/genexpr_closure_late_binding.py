makers = [(lambda: n) for n in range(3)]
print([make() for make in makers])
limit = 2
late = (n for n in range(5) if n < limit)
limit = 4
print(list(late))
