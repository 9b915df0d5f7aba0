seen = __name__


def run(n):
    return [seen] * n
