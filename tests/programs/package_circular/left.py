import right


def value():
    return right.base() + 1


def base():
    return 10
