class Pause:
    def __await__(self): yield 1


async def f(): await Pause(); await Pause()
async def g():
    try: await Pause()
    except ValueError: return "caught"
async def h(): return await g() or await g()


def run(c):
    steps = 0
    while True:
        try: c.send(None)
        except StopIteration as stop: return steps, stop.value
        steps += 1


print(run(f()), run(g()), run(h()))
c = g()
c.send(None)
try:
    c.throw(ValueError)
except StopIteration as stop:
    print(stop.value)
