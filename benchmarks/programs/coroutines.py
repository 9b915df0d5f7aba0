"""Coroutines on a loop of our own: awaits, async generators, async with, queues and cancellation."""

from collections import deque

LOOPS = 520


class Switch:
    """Awaiting one gives the turn to the next task."""

    def __await__(self):
        yield


class Cancelled(Exception):
    pass


class Queue:
    def __init__(self, size):
        self.size = size
        self.items = deque()

    async def put(self, item):
        while len(self.items) >= self.size:
            await Switch()
        self.items.append(item)

    async def get(self):
        while not self.items:
            await Switch()
        return self.items.popleft()


class Slot:
    def __init__(self, free):
        self.free = free

    async def __aenter__(self):
        while not self.free[0]:
            await Switch()
        self.free[0] -= 1

    async def __aexit__(self, *exception):
        self.free[0] += 1


async def numbers(count):
    for number in range(count):
        if number % 4 == 0:
            await Switch()
        yield number


async def produce(queue, count):
    async for number in numbers(count):
        await queue.put(number)
    await queue.put(None)


async def square(number):
    return number * number


async def consume(queue, slots, results):
    total = 0
    while True:
        number = await queue.get()
        if number is None:
            break
        async with Slot(slots):
            total += await square(number) % 13
    results.append(total)


async def forever(log):
    try:
        while True:
            await Switch()
    except Cancelled:
        log.append("cancelled")
        raise
    finally:
        log.append("closed")


def run(coroutines, log):
    """Run all of *coroutines* in turn; cancel the last when the others are done."""
    ready = deque(coroutines)
    extra = forever(log)
    extra.send(None)
    while ready:
        task = ready.popleft()
        try:
            task.send(None)
        except StopIteration:
            continue
        ready.append(task)
        extra.send(None)
    try:
        extra.throw(Cancelled())
    except Cancelled:
        pass


def main(loops):
    results, log = [], []
    for _ in range(loops):
        slots = [1]
        tasks = []
        for size in (1, 3, 8):
            queue = Queue(size)
            tasks += [produce(queue, 120), consume(queue, slots, results)]
        run(tasks, log)
    return sum(results), len(log)
