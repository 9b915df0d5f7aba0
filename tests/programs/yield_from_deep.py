def level(n):
    if n:
        yield from level(n - 1)
    yield n


print(list(level(6)))
