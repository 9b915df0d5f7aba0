"""Takes the bytes of plain values (`instrument.model.plain_values`) apart without trust. Only readers load this module.

A process packs values by `marshal`, which is in C. A forged file can make `marshal.loads` crash the interpreter. So a
reader takes the same bytes apart by `from_bytes`, which admits a few types only, and checks each length.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Values may be nested so deep.
_DEEPEST = 12
#: An integer has so many digits of 15 bits at most: those of 64 bits.
_MOST_DIGITS = 5
#: So many values are read at most. Columns of numbers are bytes, so a plan has some ten values for each code object.
MOST_VALUES = 1 << 20
_SINGLETONS: dict[int, Any] = {ord("N"): None, ord("T"): True, ord("F"): False}


def from_bytes(data: bytes) -> Any:
    """Return the value that `to_bytes` returned *data* for; raise ValueError if it returned *data* for none."""
    parser = _Parser(data)
    value = parser.value(0)
    if parser.position != len(data):
        raise ValueError("there is more than one value")
    return value


def _as_key(value: Any) -> Any:
    """Return *value*, a key or an element of a set; raise ValueError if it is a collection.

    A forger can make many collections of the same hash, and few other values.
    """
    if isinstance(value, (tuple, list, dict, frozenset)):
        raise ValueError("a key or an element is no plain value")
    return value


class _Parser:
    """Takes *data* apart. `position` is that of the next byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self._n_values = 0
        self._readers: dict[int, Callable[[int], Any]] = {
            ord("i"): self._int,
            ord("l"): self._long,
            ord("s"): lambda _depth: self._bytes(self._length()),
            ord("u"): lambda _depth: self._bytes(self._length()).decode("utf-8", "surrogatepass"),
            ord("("): lambda depth: tuple(self._values(depth)),
            ord("["): lambda depth: self._values(depth),
            ord(">"): lambda depth: frozenset(map(_as_key, self._values(depth))),
            ord("{"): self._dict,
        }

    def value(self, depth: int) -> Any:
        """Return the next value, which is nested *depth* times."""
        self._n_values += 1
        if depth > _DEEPEST:
            raise ValueError("values are nested too deep")
        if self._n_values > MOST_VALUES:
            raise ValueError("there are too many values")
        kind = self._bytes(1)[0]
        if kind in _SINGLETONS:
            return _SINGLETONS[kind]
        reader = self._readers.get(kind)
        if reader is None:
            raise ValueError(f"there is a value of another type: {chr(kind)!r}")
        return reader(depth)

    def _bytes(self, n: int) -> bytes:
        """Return the next *n* bytes."""
        end = self.position + n
        if n < 0 or end > len(self._data):
            raise ValueError("a value is longer than its data")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _length(self) -> int:
        """Return the next length, which is at most that of the rest: each value takes one byte or more."""
        return int.from_bytes(self._bytes(4), "little", signed=True)

    def _int(self, _depth: int) -> int:
        return int.from_bytes(self._bytes(4), "little", signed=True)

    def _long(self, _depth: int) -> int:
        n_digits = self._length()
        if abs(n_digits) > _MOST_DIGITS:
            raise ValueError("an integer is too large")
        digits = [int.from_bytes(self._bytes(2), "little") for _ in range(abs(n_digits))]
        value = sum(digit << 15 * place for place, digit in enumerate(digits))
        if value > 1 << 63:
            raise ValueError("an integer is too large")
        return -value if n_digits < 0 else value

    def _values(self, depth: int) -> list[Any]:
        n = self._length()
        if not 0 <= n <= len(self._data) - self.position:
            raise ValueError("a value is longer than its data")
        return [self.value(depth + 1) for _ in range(n)]

    def _dict(self, depth: int) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        while self._data[self.position : self.position + 1] != b"0":
            key = _as_key(self.value(depth + 1))
            values[key] = self.value(depth + 1)
        self.position += 1
        return values
