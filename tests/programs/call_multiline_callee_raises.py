def f1(a=0, b=0, c=0):
    C2
def decide(): return 0
def f3(a=0, b=0, c=0):
    f1(0,
        decide())
def f4(a=0, b=0, c=0):
    yield
    f1(0,
        decide())
def f5():
    try:
        f1(0,
            decide())
    except NameError: pass
for f in f3, f5:
    try: f()
    except NameError as e: print(e)
try: list(f4())
except NameError as e: print(e)
async def f3(a=0, b=0, c=0):
    f1(0,
        decide())
try:
    f3(1).send(None)
except NameError as e: print(e)


def f6(items):
    for item in (
            f1(item) if item else decide()
            for item in items):
        decide()
    return [f1(
        0) for item in items]


class Lazy:
    @property
    def value(self):
        return C2

    def __getitem__(self, key):
        return C2


def f7(lazy):
    x = (decide(),
         decide(), lazy
         .value)
    return x


def f8(lazy):
    return (decide(), lazy
            [decide()
             ])


for f, argument in (f6, [0, 1]), (f6, [0]), (f7, Lazy()), (f8, Lazy()):
    for _ in range(3):
        try:
            f(argument)
        except NameError as error:
            print(error)
