def inside(low, value, high):
    return (
        low
        <= value
        < high
    )


def strict(a, b, c):
    if (
        a
        < b
        < c
    ):
        return "rising"
    else:
        return "not"


print(inside(0, 1, 2), inside(0, 2, 2), inside(1, 0, 2))
print(strict(1, 2, 3), strict(1, 0, 3), strict(1, 2, 2))
