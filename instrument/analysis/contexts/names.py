"""Names of contexts, and the tests and phases that they stand for.

The pytest plugin names contexts "tests/test_shop.py::test_price|call". A name without a phase is no test: it stands for
code outside of tests, such as that of imports.
"""

from __future__ import annotations

from typing import NamedTuple

#: The phases of a test, in the order in which they run.
PHASES = ("setup", "call", "teardown")


class Context(NamedTuple):
    """A test and a phase of it; or any other name, and an empty phase."""

    name: str
    phase: str

    @property
    def is_test(self) -> bool:
        """Whether this is a phase of a test."""
        return self.phase != ""


def context_of(text: str) -> Context:
    """Return the Context that a data file calls *text*."""
    name, _, phase = text.rpartition("|")
    return Context(name, phase) if name and phase in PHASES else Context(text, "")
