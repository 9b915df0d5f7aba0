def f(a, b=2, *args, c, d=4, **more):
    return a, b, args, c, d, more


print(f(1, c=3))
print(f(1, 2, 5, 6, c=3, e=7))
print(f(
    *[1, 2],
    **{"c": 3, "x": 4},
))
