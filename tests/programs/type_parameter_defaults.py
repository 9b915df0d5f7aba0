# requires: 3.13
class Box[T = int]:
    pass


def f[T = str, *Ts = *tuple[int, ...]](a: T) -> T:
    return a


print(f(1), Box.__type_params__[0].__default__)
