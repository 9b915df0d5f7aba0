def f(value):
    match value:
        case 0:
            return "zero"
        case 1 | 2 | 3:
            return "small"
        case -1:
            return "minus"
        case "text":
            return "text"
        case None | True:
            return "singleton"
        case _:
            return "other"


print([f(value) for value in (0, 2, -1, "text", None, True, 99)])
