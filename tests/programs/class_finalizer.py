class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("del", self.name)


def f():
    local = Noisy("local")
    print("in f")


f()
a = Noisy("a")
b = a
del a
print("still")
b = Noisy("b")
del b
