import traceback


def fail(a, b):
    return (a
            and                                                                                                                 (b / 0))


def chain(n):
    assert (n
        or                                                                                                                 n), lambda: (lambda: n)
    value = (
                                                                                                                          n.missing)
    return value


for function in (fail, chain):
    for arguments in ((1, 2), (0,), (3,)):
        try:
            function(*arguments)
        except Exception as error:
            print([(frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__)], type(error))


def note(value):
    return value


def check(decide):
    assert (0
        or not (note(1) if decide else {note(1): 2 for a in (1, 2) if True})), lambda a, b=0: (lambda a, b=0: 0 if True else decide)


for decide in (0, 1):
    try:
        check(decide)
    except AssertionError as error:
        print([(frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__)])
