a = (
    1
    + 2
    * 3
    - len(
        "abc"
    )
)
b = -(
    a
)
c = (
    a
    [0:1]
    if isinstance(a, str)
    else a
)
d = not (
    a
    == b
)
print(a, b, c, d)
