class Pause:
    def __await__(self):
        yield 1


class Guard:
    async def __aenter__(self):
        pass

    async def __aexit__(self, *_):
        await Pause()


class Ticks:
    def __aiter__(self):
        return self

    def __anext__(self):
        return Pause()


async def f():
    async with Guard(), Guard(): raise KeyError


async def g():
    async with Guard(), Guard():
        async for _ in Ticks(): pass


for make in (f, g):
    for turns in range(5):
        coroutine = make()
        try:
            for _ in range(turns):
                coroutine.send(None)
            coroutine.throw(ValueError)
            while True:
                coroutine.send(None)
        except (KeyError, StopIteration, ValueError) as error:
            print(make.__name__, turns, type(error))
