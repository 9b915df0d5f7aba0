def f():
    seen = []
    for n in range(3):
        try:
            seen.append(n)
            raise ValueError(n)
        finally:
            continue
    return seen


print(f())
