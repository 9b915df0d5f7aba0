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


async def double(n):
    return n * 2


async def f():
    print([n async for n in Ticks(3)])
    print({n: await double(n) async for n in Ticks(2)})
    print({
        await double(n)
        async for n in Ticks(4)
        if n % 2
    })
    print([await double(n) for n in range(3)])
    lazy = (n async for n in Ticks(3) if n)
    async for n in lazy:
        print(n)
    print([[m async for m in Ticks(n)] for n in range(3)])


try:
    f().send(None)
except StopIteration:
    print("done")
