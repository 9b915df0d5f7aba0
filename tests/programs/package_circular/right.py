import left

seen = hasattr(left, 'value')


def value():
    return left.base() + 2


def base():
    return 20 if seen else 30
