def f():
    yield from [1, 2]
    yield from range(3, 5)
    yield from iter("ab")
    yield from ()
    yield from {6: 7}


print(list(f()))
