def f():
    total = (yield 1) + (
        yield 2
    ) + (
        yield 3
    )
    print((
        yield total
    ))


g = f()
values = [next(g)]
for n in (10, 20, 30, 40):
    try:
        values.append(g.send(n))
    except StopIteration:
        values.append("stop")
print(values)
