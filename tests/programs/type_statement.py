# requires: 3.12
type Pair[T] = tuple[T, T]
type Later = undefined


def first[T](pair: Pair[T]) -> T:
    return pair[0]


class Box[T: int]:
    def __init__(self, value: T):
        self.value = value

    def get[U](self, other: U) -> T | U:
        return self.value or other


print(first((1, 2)), Box(0).get("x"), Pair.__value__)
try:
    Later.__value__
except NameError as error:
    print(error)
