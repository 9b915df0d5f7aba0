"""Dataclasses, enums, properties and match statements in a small business: descriptors and generated methods."""

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import total_ordering

LOOPS = 1300


class Kind(Enum):
    BOOK = "book"
    FOOD = "food"
    TOOL = "tool"

    @property
    def tax(self):
        return {Kind.BOOK: 7, Kind.FOOD: 5}.get(self, 19)


@dataclass(frozen=True)
class Product:
    name: str
    kind: Kind
    cents: int

    @property
    def gross(self):
        return self.cents + self.cents * self.kind.tax // 100


@total_ordering
@dataclass
class Line:
    product: Product
    amount: int = 1
    notes: list = field(default_factory=list)

    def __lt__(self, other):
        return self.total < other.total

    @property
    def total(self):
        return self.product.gross * self.amount


@dataclass
class Order:
    number: int
    lines: list = field(default_factory=list)
    status: str = "open"

    def add(self, product, amount):
        for line in self.lines:
            if line.product == product:
                line.amount += amount
                return line
        line = Line(product, amount)
        self.lines.append(line)
        return line

    @property
    def total(self):
        return sum(line.total for line in self.lines)


def handle(order, event):
    match event:
        case ("add", Product() as product, int(amount)) if amount > 0:
            order.add(product, amount)
        case ("add", _, _):
            return 0
        case ("note", text):
            order.lines[-1].notes.append(text)
        case ("discount", {"percent": percent}):
            for line in order.lines:
                line.product = replace(line.product, cents=line.product.cents * (100 - percent) // 100)
        case ("close",):
            order.status = "closed"
        case [_, *rest]:
            return len(rest)
    return 1


def main(loops):
    products = [Product(f"p{number}", list(Kind)[number % 3], 100 + 37 * number) for number in range(12)]
    total = 0
    for turn in range(loops):
        orders = []
        for number in range(12):
            order = Order(number)
            for place in range(8):
                product = products[(number * 5 + place * place + turn) % len(products)]
                total += handle(order, ("add", product, place - 1))
            for event in (("note", "fragile"), ("discount", {"percent": 10}), ("what", 1, 2), ("close",)):
                total += handle(order, event)
            orders.append(order)
        orders.sort(key=lambda order: (order.total, order.number))
        for order in orders:
            order.lines.sort()
            total += order.lines[0].total if order.status == "closed" else 0
        total += orders[0].total + orders[-1].number
    return total
