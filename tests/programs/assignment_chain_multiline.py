a = b = c = (
    1
)
d, e = (
    a,
    b,
)
a, b = b, a = 5, 6
(
    f,
    g,
) = 1, 2
print(a, b, c, d, e, f, g)
