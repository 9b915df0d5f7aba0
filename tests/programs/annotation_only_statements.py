x: int  # 1
y: list[  # 2, from 3.14: 1
    int  # 1, from 3.14: 0
]


def f():  # 1
    z: int
    return 1  # 1


class C:  # 2, from 3.14: 3
    a: int  # 1, from 3.14: 0
    b: str = "b"  # 1


print(f(), C.b)  # 1
