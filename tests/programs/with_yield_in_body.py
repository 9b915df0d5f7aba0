class Manager:  # 2
    def __enter__(self):  # 1
        return self  # 3

    def __exit__(self, kind, *rest):  # 1
        print("exit", kind and kind.__name__)  # 3


def f():  # 1
    with Manager():  # 6
        yield 1  # 3
        yield 2  # 1


print(list(f()))  # 1
started = f()  # 1
next(started)  # 1
started.close()  # 1
thrown = f()  # 1
next(thrown)  # 1
try:  # 1
    thrown.throw(ValueError)  # 1
except ValueError:  # 1
    print("thrown")  # 1
