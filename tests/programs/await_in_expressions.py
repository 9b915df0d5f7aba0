class Value:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        yield
        return self.value


async def f():
    print(await Value(1) + await Value(2))
    print([await Value(3), *(await Value([4, 5]))], {await Value("k"): await Value("v")})
    x = await Value(0) or await Value(6)
    y = await Value(7) if await Value(1) else await Value(8)
    print(f"{await Value(9)}", x, y)
    if await Value(1) and not await Value(0):
        return (
            await Value(10)
            + await Value(11)
        )


c = f()
try:
    while True:
        c.send(None)
except StopIteration as stop:
    print(stop.value)
