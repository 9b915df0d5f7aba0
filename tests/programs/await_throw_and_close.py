class Pause:
    def __await__(self):
        yield "paused"


async def f():
    try:
        await Pause()
    except ValueError:
        print("caught")
        await Pause()
    finally:
        print("finally")


c = f()
print(c.send(None), c.throw(ValueError))
c.close()
d = f()
d.close()
e = f()
e.send(None)
try:
    e.throw(KeyError("k"))
except KeyError as error:
    print(error)
