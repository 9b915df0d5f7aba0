import signal


def handler(number, frame):
    seen.append(number == signal.SIGUSR1)


seen = []
signal.signal(signal.SIGUSR1, handler)
for _ in range(3):
    signal.raise_signal(signal.SIGUSR1)
print(seen)
