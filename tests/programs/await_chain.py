class Pause:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        received = yield self.value
        return received


async def inner(n):
    return await Pause(n) + 1


async def middle(n):
    try:
        return await inner(n)
    finally:
        print("middle left")


async def outer():
    first = await middle(1)
    second = await middle(
        2,
    )
    return first, second


c = outer()
print(c.send(None), c.send(10))
try:
    c.send(20)
except StopIteration as stop:
    print(stop.value)
