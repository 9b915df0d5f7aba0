import threading


def ticks():
    n = 0
    while True:
        yield n
        n += 1


def take():
    seen.append(next(clock))


clock, seen = ticks(), []
take()
for _ in range(3):
    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
take()
clock.close()
print(seen)
