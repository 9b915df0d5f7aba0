from contextlib import contextmanager


@contextmanager
def twice():
    yield 1
    yield 2


@contextmanager
def never():
    if False:
        yield


for manager in (twice, never):
    try:
        with manager() as value:
            print(value)
    except RuntimeError as error:
        print(error)
