class Swallow:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, place):
        return kind is ValueError


def f(action):
    with Swallow():
        action()
        return "normal"
    return "swallowed"


print(f(lambda: int("x")), f(lambda: 1))
try:
    f(lambda: {}[0])
except KeyError:
    print("passed")
