class Color:
    RED = 1
    GREEN = 2


def f(value):
    match value:
        case Color.RED:
            return "red"
        case Color.GREEN:
            return "green"
        case [Color.RED, Color.GREEN]:
            return "both"


print(f(1), f(2), f([1, 2]), f(3))
