def run(awaitable):  # 1
    try:  # 5
        awaitable.send(None)  # 5
    except StopIteration as stop:  # 5
        return stop.value  # 3
    except StopAsyncIteration:  # 2
        return "exhausted"  # 2


async def f():  # 1
    try:  # 1
        yield 1  # 1
        yield 2
    finally:
        print("closed")  # 1


g = f()  # 1
print(run(g.__anext__()))  # 1
print(run(g.aclose()))  # 1
print(run(g.__anext__()))  # 1
h = f()  # 1
run(h.aclose())  # 1
print(run(h.__anext__()))  # 1
