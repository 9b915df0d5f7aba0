class Manager:  # 2
    def __init__(self, swallow):  # 1
        self.swallow = swallow  # 9

    async def __aenter__(self):  # 1
        print("enter")  # 9
        return self  # 9

    async def __aexit__(self, kind, error, place):  # 1
        print("exit", kind and kind.__name__)  # 9
        return self.swallow  # 9


async def f(swallow, n):  # 1
    async with Manager(swallow) as manager, Manager(False):  # 8
        return 1 / n  # 3
    return "swallowed"  # 1


async def g():  # 1
    async with (  # 3, from 3.13: 0
        Manager(True),  # 1, from 3.13: 2
        Manager(True),  # 1, from 3.13: 2
    ):
        raise ValueError  # 1
    async with Manager(True): raise KeyError  # 1


for coroutine in (f(True, 1), f(True, 0), f(False, 0), g()):  # 5
    try:  # 4
        coroutine.send(None)  # 4
    except StopIteration as stop:  # 4
        print(stop.value)  # 3
    except ZeroDivisionError:  # 1
        print("passed")  # 1
