"""Exceptions that are raised again on the line of a `with` of several items: the second item sees where that was."""


class Guard:
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return False


def bare(error):
    try:
        raise error
    except Exception:
        with Guard() as a, Guard(): raise


def bare_below(error):
    try:
        raise error
    except Exception:
        with Guard() as a, Guard():
            raise


def items(error):
    yield 1
    raise error


def comprehension(error):
    with Guard() as a, Guard(): [[(x
        or True)] for x in items(error)]


def group(error):
    with Guard() as a, Guard():
        try:
            raise ExceptionGroup("", [error])
        except* ValueError: raise KeyError


def group_partly(error):
    with Guard() as a, Guard():
        try:
            raise ExceptionGroup("", [error, TypeError()])
        except* ValueError: pass


def finally_on_line(error):
    with Guard() as a, Guard(): return [
        x for x in items(error) if
        x]


def caller(error):
    try:
        raise error
    except Exception:
        callee()


def callee():
    with Guard() as a, Guard(): raise


for function in bare, bare_below, comprehension, group, group_partly, finally_on_line, caller:
    for turn in range(2):
        try:
            function(ValueError(turn))
        except Exception as error:
            print(function.__name__, type(error).__name__)
