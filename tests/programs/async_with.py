class Manager:
    def __init__(self, swallow):
        self.swallow = swallow

    async def __aenter__(self):
        print("enter")
        return self

    async def __aexit__(self, kind, error, place):
        print("exit", kind and kind.__name__)
        return self.swallow


async def f(swallow, n):
    async with Manager(swallow) as manager, Manager(False):
        return 1 / n
    return "swallowed"


async def g():
    async with (
        Manager(True),
        Manager(True),
    ):
        raise ValueError
    async with Manager(True): raise KeyError


for coroutine in (f(True, 1), f(True, 0), f(False, 0), g()):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        print(stop.value)
    except ZeroDivisionError:
        print("passed")
