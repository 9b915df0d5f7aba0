def f(a, b, c):
    if a and (
        b or
        c
    ) and not (
        a and b and c
    ):
        return "some"
    elif (a or b or
          c):
        return "odd"
    return "none"


print([f(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)])
