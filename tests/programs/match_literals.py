def f(value):  # 1
    match value:  # 7
        case 0:  # 7
            return "zero"  # 1
        case 1 | 2 | 3:  # 6
            return "small"  # 2
        case -1:  # 4
            return "minus"  # 1
        case "text":  # 3
            return "text"  # 1
        case None | True:  # 2
            return "singleton"  # 1
        case _:  # 1
            return "other"  # 1


print([f(value) for value in (0, 2, -1, "text", None, True, 99)])  # 9, from 3.12: 8
