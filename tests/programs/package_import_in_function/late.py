print('imported')
STEP = 5


def add(a, b):
    return a + b
