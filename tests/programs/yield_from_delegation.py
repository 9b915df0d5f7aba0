def inner():  # 1
    try:  # 3
        received = yield 1  # 3
        print("inner got", received)  # 1
    except ValueError:  # 2
        print("inner caught")  # 1
        yield "recovered"  # 1
    return "inner result"  # 2


def outer():  # 1
    result = yield from inner()  # 3, from 3.13: 4
    print(result)  # 2
    yield "outer"  # 2


g = outer()  # 1
print(next(g), g.send("x"), list(g))  # 1
h = outer()  # 1
print(next(h), h.throw(ValueError), next(h))  # 1
h.close()  # 1
k = outer()  # 1
next(k)  # 1
try:  # 1
    k.throw(KeyError("through"))  # 1
except KeyError as error:  # 1
    print(error)  # 1
