"""try with finally, with statements over a class and over a generator, returns and continues that leave them."""

from contextlib import contextmanager


class Lock:
    def __init__(self):
        self.depth = self.uses = 0

    def __enter__(self):
        self.depth += 1
        self.uses += 1
        return self

    def __exit__(self, *details):
        self.depth -= 1
        return False


@contextmanager
def noted(log):
    log.append(1)
    try:
        yield log
    finally:
        log.pop()


def early(lock, number):
    with lock:
        if number % 4 == 0:
            return 0
        try:
            return number
        finally:
            lock.uses += 1


def main(loops):
    lock, log, total = Lock(), [], 0
    for _ in range(loops):
        for number in range(1_000):
            total += early(lock, number)
            with lock, noted(log):
                if number % 3:
                    continue
                total += len(log)
    return total, lock.uses, lock.depth
