import inspect
import sys


def f(a, b=2, *, c: int = 3):
    "Doc of f."
    frame = sys._getframe()
    return frame.f_lineno, frame.f_code.co_name, sorted(frame.f_locals)


print(f(1), inspect.signature(f), f.__doc__)
print(inspect.getsource(f).splitlines()[-1])
print(f.__code__.co_firstlineno, f.__code__.co_varnames[:3], f.__code__.co_argcount)
print([frame.function for frame in inspect.stack(0)[:1]])


def gen():
    yield 1
    yield 2


g = gen()
print(inspect.getgeneratorstate(g), g.gi_frame.f_lineno)
next(g)
print(inspect.getgeneratorstate(g), g.gi_frame.f_lineno)
