class Manager:
    def __init__(self, fails):
        self.fails = fails

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.fails:
            raise KeyError(self.fails)


def lines(error):
    place, found = error.__traceback__, []
    while place:
        found.append(place.tb_lineno)
        place = place.tb_next
    return found


def f(outer, inner):
    with Manager(outer):
        with Manager(inner):
            return 1


def g(outer, inner):
    for n in range(2):
        with Manager(outer), Manager(inner):
            if n:
                break
            continue
    return 2


for function in (f, g):
    for outer, inner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        try:
            print(function(outer, inner))
        except KeyError as error:
            print(lines(error))
