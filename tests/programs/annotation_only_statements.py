x: int
y: list[
    int
]


def f():
    z: int
    return 1


class C:
    a: int
    b: str = "b"


print(f(), C.b)
