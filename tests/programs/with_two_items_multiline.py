class Manager:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self.name

    def __exit__(self, *error):
        return self.name == "swallow"


def f(n):
    with (
        Manager("swallow") as a,
        Manager("b") as b,
    ):
        print(a, b, 1 / n)
    return n


print(f(1), f(0))
