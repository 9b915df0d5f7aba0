async def f(n):
    return n * 2


async def main():
    print(await f(1))
    total = 0
    for n in range(3):
        total += await f(n)
    return total


coroutine = main()
try:
    coroutine.send(None)
except StopIteration as stop:
    print(stop.value)
