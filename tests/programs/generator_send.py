def average():
    total = count = 0
    mean = None
    while True:
        value = yield mean
        if value is None:
            return mean
        total += value
        count += 1
        mean = total / count


g = average()
next(g)
print(g.send(10), g.send(20), g.send(60))
try:
    g.send(None)
except StopIteration as stop:
    print(stop.value)
