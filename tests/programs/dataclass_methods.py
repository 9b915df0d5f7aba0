from dataclasses import dataclass, field, replace


@dataclass(order=True)
class Item:
    name: str
    price: float = 0
    tags: list = field(default_factory=list)

    def __post_init__(self):
        self.price = abs(self.price)

    @property
    def label(self):
        return f"{self.name}: {self.price}"


@dataclass(frozen=True)
class Key:
    a: int
    b: int = 2


item = Item("pen", -2)
print(item, item.label, item == Item("pen", 2), item < Item("quill"))
print(replace(item, name="ink"), len({Key(1), Key(1, 2)}))
try:
    Key(1).a = 5
except AttributeError:
    print("frozen")
