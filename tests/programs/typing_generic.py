from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Stack(Generic[T]):
    def __init__(self) -> None:
        self.items: list[T] = []

    def push(self, item: T) -> None:
        self.items.append(item)

    def pop(self) -> T:
        return self.items.pop()


class Sized(Protocol):
    def __len__(self) -> int: ...


stack = Stack[int]()
stack.push(1)
print(stack.pop(), Stack.__name__)
