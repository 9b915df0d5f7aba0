class Bad:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise ValueError("next")


async def f():
    try:
        async for _ in Bad():
            print("never")
    except ValueError as error:
        print(error)
    try:
        async for _ in 5:
            print("never")
    except TypeError:
        print("not iterable")


try:
    f().send(None)
except StopIteration:
    print("done")
