print('heavy')


def compute():
    return 42
