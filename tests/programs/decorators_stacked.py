def trace(function):
    def wrapper(*args):
        print("call", function.__name__)
        return function(*args)
    return wrapper


def repeat(times):
    def decorate(function):
        def wrapper(*args):
            return [function(*args) for _ in range(times)]
        return wrapper
    return decorate


@trace
@repeat(2)
def f(a):
    return a


@repeat(
    3,
)
@trace
def g():
    return 1


print(f(5), g())
