class Good:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        print("exit", error[0].__name__)
        return False


async def f():
    async with Good() as a, 0:
        yield a


async def g():
    async with Good():
        with 0 as a:
            yield a


for make in (f, g):
    step = make().__anext__()
    try:
        step.send(None)
    except (TypeError, AttributeError):
        print("not a manager")
