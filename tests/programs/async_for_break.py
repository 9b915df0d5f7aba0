class Ticks:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        return self.n


async def f(limit):
    seen = []
    async for tick in Ticks(5):
        if tick < limit:
            break
        seen.append(tick)
    else:
        seen.append("else")
    async for tick in Ticks(2): seen.append(tick)
    return seen


for limit in (3, 0):
    try:
        f(limit).send(None)
    except StopIteration as stop:
        print(stop.value)
