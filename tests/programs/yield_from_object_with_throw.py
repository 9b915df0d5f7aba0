class Source:
    def __iter__(self):
        return self

    def __next__(self):
        return 1

    def throw(self, *error):
        print("throw", error[0] if isinstance(error[0], type) else type(error[0]))
        return 2

    def close(self):
        print("close")


def f():
    yield from Source()


g = f()
print(next(g), g.throw(ValueError()), next(g))
g.close()
