items = list(range(10))
print(
    items[
        1
    ],
    items[
        2:
        5
    ],
    {
        "a": 1,
    }[
        "a"
    ],
)
items[
    0
] = 5
items[
    1
] += 2
print(items[:2])
