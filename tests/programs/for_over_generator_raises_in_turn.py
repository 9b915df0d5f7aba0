"""Generators that raise in the first, second or a later turn of small loops in `try` and `with`, whose jumps are in no
`try`: the handler must be found from every turn, and run."""


def items(n):
    for item in range(n):
        yield item
    raise LookupError(n)


class Guard:
    def __enter__(self):
        print("in")

    def __exit__(self, *exception):
        print("out")


class Turns:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        self.n -= 1
        if self.n < 0:
            raise KeyError
        return self.n

    def __getattr__(self, name):
        return self.__next__()


def in_finally(n, flag):
    last = None
    try:
        for last in items(n):
            if flag:
                pass
    finally:
        print("finally", last)


def in_except(n, flag):
    for turn in range(2):
        try:
            for last in items(n):
                if last == flag: continue
                last += 1
        except LookupError:
            turn += 1
        else:
            turn += 2
    return turn


def in_with(n):
    with Guard():
        for last in items(n): pass


def by_class(n):
    try:
        for last in Turns(n):
            last += 1
    except KeyError:
        return "class"


def while_attribute(n):
    turns = Turns(n)
    try:
        while turns.next >= 0:
            n += 1
    except KeyError:
        return n


def nested(n):
    try:
        for outer in range(3):
            try:
                for inner in items(n):
                    outer += inner
            except KeyError:
                pass
    except LookupError:
        return outer


for n in range(7):
    for function, *arguments in (
        (in_finally, 0), (in_finally, 1), (in_except, 1), (in_with,), (by_class,), (while_attribute,), (nested,)
    ):
        try:
            print(function.__name__, function(n, *arguments))
        except LookupError as error:
            print(function.__name__, error)
