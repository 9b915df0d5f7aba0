"""Variables without a value on the second line of an expression: 3.11 runs two loads at once when the code is warm."""


def argument(a, flag):
    if flag:
        b = 1
    try:
        return (a,
                b)
    except NameError:
        return flag


def assigned(flag):
    a = flag
    if flag:
        b = 1
    try:
        a = 1
        b
    except NameError:
        return flag
    return (a,
            b)


def constant(flag):
    if flag:
        b = 1
    try:
        return [1,
                b,
                2]
    except NameError:
        return flag


def looping(n):
    for a in range(n):
        b = a
        del b
        try:
            match (a,
                    b):
                case 0:
                    pass
        except NameError:
            a += 1
    return a


def leaving(a, flag):
    if flag:
        b = 1
    return max(a,
               b)


for turn in range(40):
    flag = turn % 3 == 0
    argument(turn, flag), assigned(flag), constant(flag), looping(1 + turn % 4)
    try:
        leaving(turn, flag)
    except NameError as error:
        print(turn, error.__traceback__.tb_next.tb_lineno > 0)


class Ticks:
    def __init__(self):
        self.n = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.n += 1
        if self.n > 2:
            raise StopAsyncIteration
        return self.n


async def waiting(n):
    for a in range(n):
        async for b in Ticks(): pass
        try:
            pass
        except ValueError: break
        del b
        try:
            match (a,
                    b):
                case 0 if 0:
                    pass
        except NameError:
            pass


for turn in range(40):
    try:
        waiting(turn % 5).send(None)
    except StopIteration:
        pass
