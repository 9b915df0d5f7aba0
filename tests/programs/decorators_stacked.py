def trace(function):  # 1
    def wrapper(*args):  # 2
        print("call", function.__name__)  # 4
        return function(*args)  # 4
    return wrapper  # 2


def repeat(times):  # 1
    def decorate(function):  # 2
        def wrapper(*args):  # 2
            return [function(*args) for _ in range(times)]  # 9, from 3.12: 7
        return wrapper  # 2
    return decorate  # 2


@trace  # 2
@repeat(2)  # 2
def f(a):  # 2
    return a  # 2


@repeat(  # 3
    3,  # 1
)
@trace  # 2
def g():  # 2
    return 1  # 3


print(f(5), g())  # 1
