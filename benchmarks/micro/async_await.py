"""Chains of awaited coroutines that never wait, driven by hand: the cost of async without an event loop."""


async def leaf(value):
    return value + 1


async def middle(value):
    return await leaf(value) + await leaf(value + 1)


async def top(limit):
    total = 0
    for value in range(limit):
        total += await middle(value)
    return total


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("the coroutine waits")


def main(loops):
    total = 0
    for _ in range(loops):
        total += drive(top(2_000))
    return total
