"""Asynchronous generators, async for, async with and tasks, in an event loop."""

import asyncio


async def ticks(limit):
    for value in range(limit):
        if value % 50 == 0:
            await asyncio.sleep(0)
        yield value


class Guard:
    def __init__(self):
        self.entered = 0

    async def __aenter__(self):
        self.entered += 1
        return self

    async def __aexit__(self, *details):
        return False


async def consume(limit, guard):
    total = 0
    async for value in ticks(limit):
        async with guard:
            total += value
    return total + sum([value async for value in ticks(limit) if value % 2])


async def several(loops):
    guard = Guard()
    total = 0
    for _ in range(loops):
        total += sum(await asyncio.gather(*(consume(300, guard) for _ in range(3))))
    return total, guard.entered


def main(loops):
    return asyncio.run(several(loops))
