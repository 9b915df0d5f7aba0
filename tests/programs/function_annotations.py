def f(a: int, b: "str" = "x", *c: tuple, d: list[int] = [], **e: dict) -> bool:
    return bool(a)


print(f(1), f(0))
