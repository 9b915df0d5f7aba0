class Pause:  # 2
    def __await__(self): yield 1  # 7


async def f(): await Pause(); await Pause()  # 2
async def g():  # 1
    try: await Pause()  # 4, from 3.13: 5
    except ValueError: return "caught"  # 1
async def h(): return await g() or await g()  # 2


def run(c):  # 1
    steps = 0  # 3
    while True:  # 8
        try: c.send(None)  # 8
        except StopIteration as stop: return steps, stop.value  # 3
        steps += 1  # 5


print(run(f()), run(g()), run(h()))  # 1
c = g()  # 1
c.send(None)  # 1
try:  # 1
    c.throw(ValueError)  # 1
except StopIteration as stop:  # 1
    print(stop.value)  # 1
