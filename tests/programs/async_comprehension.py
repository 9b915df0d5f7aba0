class Ticks:  # 2
    def __init__(self, n):  # 1
        self.n = n  # 7

    def __aiter__(self):  # 1
        return self  # 7

    async def __anext__(self):  # 1
        if not self.n:  # 22
            raise StopAsyncIteration  # 7
        self.n -= 1  # 15
        return self.n  # 15


async def double(n):  # 1
    return n * 2  # 7


async def f():  # 1
    print([n async for n in Ticks(3)])  # 5, from 3.12: 4
    print({n: await double(n) async for n in Ticks(2)})  # 4, from 3.12: 3
    print({  # 13, from 3.12: 6, from 3.15: 7
        await double(n)  # 2, from 3.12: 4
        async for n in Ticks(4)  # 5, from 3.15: 6
        if n % 2  # 4
    })
    print([await double(n) for n in range(3)])  # 5, from 3.12: 4
    lazy = (n async for n in Ticks(3) if n)  # 5
    async for n in lazy:  # 3
        print(n)  # 2
    print([[m async for m in Ticks(n)] for n in range(3)])  # 11, from 3.12: 7


try:  # 1
    f().send(None)  # 1
except StopIteration:  # 1
    print("done")  # 1
