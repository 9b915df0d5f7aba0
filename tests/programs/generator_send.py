def average():  # 1
    total = count = 0  # 1
    mean = None  # 1
    while True:  # 4
        value = yield mean  # 4
        if value is None:  # 4
            return mean  # 1
        total += value  # 3
        count += 1  # 3
        mean = total / count  # 3


g = average()  # 1
next(g)  # 1
print(g.send(10), g.send(20), g.send(60))  # 1
try:  # 1
    g.send(None)  # 1
except StopIteration as stop:  # 1
    print(stop.value)  # 1
