table = {
    "a": 1,
    "b": [
        1,
        2,
    ],
    "c": {
        "d": (
            1,
            2,
        ),
    },
    **{"e": 5},
    "f": {
        1,
        2,
    },
}
print(sorted(table), table["c"])
numbers = [
    1, 2, 3,
    4, 5, 6,
    *range(
        3
    ),
]
print(sum(numbers))
constant = (
    1,
    2,
    3,
)
print(constant)
