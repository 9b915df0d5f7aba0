def f():  # 1
    while True:  # 4
        try:  # 4
            value = yield  # 4
            print("got", value)  # 2
        except ValueError as error:  # 2
            print("caught", error)  # 1
        else:
            print("else")  # 2


g = f()  # 1
next(g)  # 1
g.send(1)  # 1
g.throw(ValueError("thrown"))  # 1
g.send(2)  # 1
try:  # 1
    g.throw(KeyError("out"))  # 1
except KeyError as error:  # 1
    print(error)  # 1
