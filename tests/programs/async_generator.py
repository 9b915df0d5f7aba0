async def numbers(n):
    for i in range(n):
        yield i


async def f():
    return [n async for n in numbers(4) if n % 2]


try:
    f().send(None)
except StopIteration as stop:
    print(stop.value)
