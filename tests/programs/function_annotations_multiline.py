def f(  # 6, from 3.14: 2
    a: int,  # 1, from 3.14: 0
    b: str = "x",  # 2, from 3.14: 0
    *,
    c: list[  # 2, from 3.14: 0
        int  # 1, from 3.14: 0
    ] = (),  # 1
) -> tuple[  # 2, from 3.14: 0
    int,  # 2, from 3.14: 0
    str,  # 1, from 3.14: 0
]:
    return a, b  # 2


print(f(1), f(2, "y"))  # 1
