class Ticks:  # 2
    def __init__(self, n):  # 1
        self.n = n  # 4

    def __aiter__(self):  # 1
        return self  # 4

    async def __anext__(self):  # 1
        if not self.n:  # 15
            raise StopAsyncIteration  # 3
        self.n -= 1  # 12
        return self.n  # 12


async def f(limit):  # 1
    seen = []  # 2
    async for tick in Ticks(5):  # 9
        if tick < limit:  # 8
            break  # 1
        seen.append(tick)  # 7
    else:
        seen.append("else")  # 1
    async for tick in Ticks(2): seen.append(tick)  # 6
    return seen  # 2


for limit in (3, 0):  # 3
    try:  # 2
        f(limit).send(None)  # 2
    except StopIteration as stop:  # 2
        print(stop.value)  # 2
