# requires: 3.14
def f(action):
    try:
        action()
    except ValueError, KeyError:
        return "caught"
    return "fine"


print(f(lambda: int("x")), f(lambda: {}[0]), f(lambda: 0))
