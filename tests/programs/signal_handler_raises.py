import signal


class Interrupted(Exception):
    pass


def handler(number, frame):
    raise Interrupted


def work():
    n = 0
    try:
        while True:
            n += 1
            if n == 5:
                signal.raise_signal(signal.SIGUSR1)
    finally:
        print("left at", n)


signal.signal(signal.SIGUSR1, handler)
try:
    work()
except Interrupted:
    print("interrupted")
