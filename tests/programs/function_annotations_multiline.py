def f(
    a: int,
    b: str = "x",
    *,
    c: list[
        int
    ] = (),
) -> tuple[
    int,
    str,
]:
    return a, b


print(f(1), f(2, "y"))
