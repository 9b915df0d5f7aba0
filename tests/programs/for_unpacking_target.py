pairs = {"a": 1, "b": 2}
for name, value in pairs.items():
    print(name, value)
for first, *rest in [(1, 2, 3), (4,)]:
    print(first, rest)
for pairs["c"] in range(2):
    pass
print(pairs)
