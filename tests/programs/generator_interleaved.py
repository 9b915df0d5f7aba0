def f(name, n):
    for i in range(n):
        yield f"{name}{i}"


running = [f("a", 3), f("b", 1), f("c", 2)]
while running:
    g = running.pop(0)
    try:
        print(next(g))
    except StopIteration:
        continue
    running.append(g)
