name, width, value = "n", 8, 3.14159
print(f"{name}: {value:{width}.{2}f} {f'{name!r:>{width}}'} {value=:.1f}")


def f(n):
    return n * 2


print(f"{f(1)} {f(f(2))} {[f(n) for n in range(3)]} {(lambda n: n)(4)}")
print(
    f"{f(1)}"
    f"{f(2)}"
    "plain"
    f"{f(3)}"
)
