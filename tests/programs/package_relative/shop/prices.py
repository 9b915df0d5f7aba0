RATE = 2


def price(item):
    if item > 2:
        return item * RATE - 1
    return item * RATE
