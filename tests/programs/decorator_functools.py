import functools


@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) + 1
    return wrapper


@logged
def f(n):
    return n * 2


print(fib(20), f(4), f.__name__, functools.reduce(lambda a, b: a * b, range(1, 6)))
add = functools.partial(lambda a, b: a + b, 1)
print(add(2), add(3))


@functools.singledispatch
def show(value):
    return "any"


@show.register
def _(value: int):
    return "int"


print(show(1), show("x"))
