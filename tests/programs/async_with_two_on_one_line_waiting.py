"""Exceptions thrown into what waits in a body, or in the exits, of an `async with` of two items on one line."""


class Pause:
    def __await__(self):
        try:
            yield "pause"
        except ValueError:
            return
        yield "again"


class Guard:
    def __init__(self, waits):
        self.waits = waits

    async def __aenter__(self):
        if self.waits:
            await Pause()
        return self

    async def __aexit__(self, *exception):
        if self.waits:
            await Pause()
        return False


async def body(waits):
    a = 1
    async with Guard(waits) as a, Guard(waits):
        await Pause()
    return a


async def line(waits):
    async with Guard(waits) as a, Guard(waits): await Pause()
    return a


for function in body, line:
    for waits in False, True:
        for kind in KeyError, ValueError, GeneratorExit:
            for at in range(8):
                coroutine = function(waits)
                try:
                    for step in range(30):
                        if step == at:
                            coroutine.throw(kind())
                        else:
                            coroutine.send(None)
                except StopIteration:
                    pass
                except BaseException as error:
                    print(function.__name__, waits, at, type(error).__name__)
                coroutine.close()
