import types


@types.coroutine
def switch(value):
    received = yield value
    return received


async def f():
    a = await switch("a")
    b = await switch("b")
    return a, b


c = f()
print(c.send(None), c.send(1))
try:
    c.send(2)
except StopIteration as stop:
    print(stop.value)
