def guard():
    raise ValueError("guard")


def f(value):
    try:
        match value:
            case int() if guard():
                return "int"
            case str():
                return "str"
    except ValueError as error:
        return str(error)
    finally:
        print("done")


print(f(1), f("a"), f(None))
