class Manager:  # 2
    def __init__(self, name):  # 1
        self.name = name  # 4

    def __enter__(self):  # 1
        return self.name  # 4

    def __exit__(self, *error):  # 1
        return self.name == "swallow"  # 4


def f(n):  # 1
    with (  # 7, from 3.13: 0
        Manager("swallow") as a,  # 4
        Manager("b") as b,  # 4
    ):
        print(a, b, 1 / n)  # 2
    return n  # 2


print(f(1), f(0))  # 1
