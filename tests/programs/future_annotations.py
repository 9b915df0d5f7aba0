from __future__ import annotations


def f(a: undefined, b: also.undefined = 1) -> nothing:
    c: unknown = 2
    return b + c


class C:
    x: missing
    y: missing = 1


print(f(0), C.__annotations__["y"])
