pairs = {"a": 1, "b": 2}  # 1
for name, value in pairs.items():  # 3
    print(name, value)  # 2
for first, *rest in [(1, 2, 3), (4,)]:  # 3
    print(first, rest)  # 2
for pairs["c"] in range(2):  # 3
    pass  # 2
print(pairs)  # 1
