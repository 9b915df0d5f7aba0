class Pause:  # 2
    def __init__(self, value):  # 1
        self.value = value  # 2

    def __await__(self):  # 1
        received = yield self.value  # 2
        return received  # 2


async def inner(n):  # 1
    return await Pause(n) + 1  # 2


async def middle(n):  # 1
    try:  # 2
        return await inner(n)  # 2
    finally:
        print("middle left")  # 2


async def outer():  # 1
    first = await middle(1)  # 1
    second = await middle(  # 2
        2,  # 1
    )
    return first, second  # 1


c = outer()  # 1
print(c.send(None), c.send(10))  # 1
try:  # 1
    c.send(20)  # 1
except StopIteration as stop:  # 1
    print(stop.value)  # 1
