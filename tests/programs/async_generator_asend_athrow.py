def run(awaitable):
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    except StopAsyncIteration:
        return "exhausted"


async def echo():
    received = None
    while True:
        try:
            received = yield received
        except ValueError as error:
            received = str(error)
            if received == "stop":
                return


g = echo()
print(run(g.asend(None)), run(g.asend(1)), run(g.athrow(ValueError("thrown"))), run(g.asend(2)))
print(run(g.athrow(ValueError("stop"))), run(g.asend(3)))
