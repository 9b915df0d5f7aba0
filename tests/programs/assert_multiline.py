def check(a, b):
    assert (
        a < b
    ), (
        "order",
        a,
        b,
    )
    return b - a


print(check(1, 3))
try:
    check(3, 1)
except AssertionError as error:
    print(error)
