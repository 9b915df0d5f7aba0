"""Exceptions as control flow: raised, caught, re-raised, chained, and cleaned up after."""

LOOPS = 2200


class Refused(Exception):
    def __init__(self, reason, amount):
        super().__init__(reason)
        self.amount = amount


class Lock:
    def __init__(self):
        self.depth = 0
        self.failures = 0

    def __enter__(self):
        self.depth += 1
        return self

    def __exit__(self, kind, value, traceback):
        self.depth -= 1
        if kind is not None:
            self.failures += 1
        return kind is KeyError


def check(amount):
    if amount % 3 == 0:
        raise Refused("a multiple of three", amount)
    if amount % 5 == 0:
        raise KeyError(amount)
    if amount % 7 == 0:
        return int("seven")
    return amount


def pay(lock, amount, log):
    try:
        with lock:
            result = check(amount)
            log.append(result)
            return result
    except Refused as refused:
        if refused.amount % 2:
            raise ValueError("odd") from refused
        log.append(-1)
    finally:
        log.append(lock.depth)
    return 0


def first_number(words):
    for word in words:
        try:
            return int(word)
        except ValueError:
            continue
    raise LookupError("no number")


def unwind(depth):
    if not depth:
        raise RuntimeError("bottom")
    try:
        unwind(depth - 1)
    finally:
        depth += 1


def main(loops):
    lock = Lock()
    total = 0
    for turn in range(loops):
        log = []
        for amount in range(1, 200):
            try:
                total += pay(lock, amount, log)
            except ValueError as error:
                total += 1 if error.__cause__ is None else 2
            else:
                total += 3
        total += sum(log)
        for words in (["a", "b", "7"], ["x"], []):
            try:
                total += first_number(words)
            except LookupError:
                total -= 1
        for _ in range(10):
            try:
                unwind(12)
            except RuntimeError:
                total += turn % 2
    return total, lock.failures
