def inner():
    try:
        received = yield 1
        print("inner got", received)
    except ValueError:
        print("inner caught")
        yield "recovered"
    return "inner result"


def outer():
    result = yield from inner()
    print(result)
    yield "outer"


g = outer()
print(next(g), g.send("x"), list(g))
h = outer()
print(next(h), h.throw(ValueError), next(h))
h.close()
k = outer()
next(k)
try:
    k.throw(KeyError("through"))
except KeyError as error:
    print(error)
