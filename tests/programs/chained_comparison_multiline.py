def inside(low, value, high):  # 1
    return (  # 3
        low  # 8
        <= value  # 3
        < high  # 2
    )


def strict(a, b, c):  # 1
    if (
        a  # 8
        < b  # 3
        < c  # 2
    ):
        return "rising"  # 1
    else:
        return "not"  # 2


print(inside(0, 1, 2), inside(0, 2, 2), inside(1, 0, 2))  # 1
print(strict(1, 2, 3), strict(1, 0, 3), strict(1, 2, 2))  # 1
