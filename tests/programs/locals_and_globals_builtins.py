def f(a):
    b = 2
    found = locals()
    c = 3
    return sorted(found)


print(f(1), "f" in globals(), sorted(vars())[:0])


class C:
    x = 1
    names = sorted(name for name in locals() if not name.startswith("__"))


print(C.names)
