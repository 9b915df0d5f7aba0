def f():
    while True:
        try:
            value = yield
            print("got", value)
        except ValueError as error:
            print("caught", error)
        else:
            print("else")


g = f()
next(g)
g.send(1)
g.throw(ValueError("thrown"))
g.send(2)
try:
    g.throw(KeyError("out"))
except KeyError as error:
    print(error)
