class Swallow:  # 2
    def __enter__(self):  # 1
        return self  # 3

    def __exit__(self, kind, error, place):  # 1
        return kind is ValueError  # 3


def f(action):  # 1
    with Swallow():  # 6
        action()  # 3
        return "normal"  # 1
    return "swallowed"  # 1


print(f(lambda: int("x")), f(lambda: 1))  # 3
try:  # 1
    f(lambda: {}[0])  # 2
except KeyError:  # 1
    print("passed")  # 1
