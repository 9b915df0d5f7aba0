"""Plain values as bytes that any reader can take apart without trust: `instrument.model.plain_parser` does.

The format is that of `marshal`, version 2 (CPython: Python/marshal.c): equal values have equal bytes, because there are
no references to values above. All supported versions of Python write and read it.
"""

from __future__ import annotations

from marshal import dumps


def to_bytes(value: object) -> bytes:
    """Return *value* as bytes. It has tuples, lists, dicts and frozensets of integers, texts, bytes, None and bools."""
    return dumps(value, 2)  # type: ignore[arg-type]
