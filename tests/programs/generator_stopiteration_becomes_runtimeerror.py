def f():
    yield 1
    next(iter(()))


def g():
    yield 1
    raise StopIteration


for make in (f, g):
    try:
        print(list(make()))
    except RuntimeError as error:
        print(error, repr(error.__cause__))
