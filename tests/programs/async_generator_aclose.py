def run(awaitable):
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    except StopAsyncIteration:
        return "exhausted"


async def f():
    try:
        yield 1
        yield 2
    finally:
        print("closed")


g = f()
print(run(g.__anext__()))
print(run(g.aclose()))
print(run(g.__anext__()))
h = f()
run(h.aclose())
print(run(h.__anext__()))
