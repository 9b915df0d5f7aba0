class Manager:
    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        print("exit", kind and kind.__name__)


def f():
    with Manager():
        yield 1
        yield 2


print(list(f()))
started = f()
next(started)
started.close()
thrown = f()
next(thrown)
try:
    thrown.throw(ValueError)
except ValueError:
    print("thrown")
