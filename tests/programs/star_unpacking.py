a, *b, c = range(5)
print(a, b, c)
(x, y), [z, *w] = (1, 2), "abc"
print(x, y, z, w)
print([*b, *"xy"], {**{"a": 1}, "b": 2}, (*b,))
first, *_ = [
    *b,
    a,
]
print(first)
try:
    a, b = 1, 2, 3
except ValueError as error:
    print("too many")
