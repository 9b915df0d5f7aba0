"""Defines the outcome of preparing one file."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Result(Enum):
    """The possible results."""

    PREPARED = "prepared"
    READY = "ready"  # the cache had everything before
    REFUSED = "refused"  # the code is sound and cannot be rewritten: it will run uncounted
    FAILED = "failed"


class Outcome(NamedTuple):
    """The result for the file at `path`; `reason` is "" for PREPARED and READY.

    `key` is that of the content of its code (`link.cache.key_of`), empty if the code was not looked at. `n_lines` is
    the number of its lines if it was PREPARED, else 0.
    """

    path: str
    result: Result
    reason: str = ""
    key: bytes = b""
    n_lines: int = 0
