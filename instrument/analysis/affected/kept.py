"""Finds functions that may return a result which changed code computed in an earlier test.

The work of each test comes in, the order of tests in a process, and the set of changed code objects. A set of functions
goes out: their first run could call changed code. From then on they may find its result in a cache, or use an object
that was made once.

Problem: the counts do not say which function calls which.
Solution: the first run of a function that keeps a result finds nothing kept. So the test of this first run also runs
the code that computes the result. A function may have called another one in that test if its source has the name of
the other. Operators and protocols call methods such as `__getitem__` without a name.
Alternative: all code of the first test that ran a function. Nearly all tests would depend on all of it.
"""

from __future__ import annotations

from instrument.analysis.affected.work import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from instrument.analysis.affected.units import Unit


class Calls:
    """Which code objects may call which, by the names in their units; *units* has None for code without a source."""

    def __init__(self, units: Sequence[Unit | None]) -> None:
        self._units = units
        by_name: dict[str, int] = {}
        self._implicit = unknown = 0
        #: Code objects whose decorator may answer calls, and code objects that may store a result for later calls.
        self.keepers = self._storing = 0
        for number, unit in enumerate(units):
            bit = 1 << number
            if unit is None:
                unknown |= bit
                self._storing |= bit
                continue
            if unit.keeps_results:
                self.keepers |= bit
            if unit.keeps_results or unit.stores:
                self._storing |= bit
            *around, name = unit.name.split(".")
            by_name[name] = by_name.get(name, 0) | bit
            if name.startswith("__") and name.endswith("__"):
                self._implicit |= bit
                if around and around[-1] != "<locals>":  # a class is called by its own name
                    by_name[around[-1]] = by_name.get(around[-1], 0) | bit
        #: Lambdas and code without a source have no name: any code may call it.
        self._implicit |= unknown
        aliases = [(name, values) for unit in units if unit is not None for name, values in unit.aliases.items()]
        for name, values in aliases:  # a call of an alias may be one of the functions in its value
            for value in values:
                by_name[name] = by_name.get(name, 0) | by_name.get(value, 0)
        everything = (1 << len(units)) - 1
        self._called = [everything if unit is None else self._called_by(unit, by_name) for unit in units]

    def _called_by(self, unit: Unit, by_name: dict[str, int]) -> int:
        called = self._implicit
        for name in {*unit.mentions, *(unit.bases or ())}:
            called |= by_name.get(name, 0)
        return called

    def keeping(self, targets: int, within: int) -> int:
        """Return the code objects of the set *within* that may call one of *targets*, and may keep a result.

        They, or others of the set that they may call, store in an object that outlives the call.
        """
        leading = self.leading_to(targets, within)
        storing = self._storing & (within | targets)
        return leading & (storing | self.leading_to(storing, within)) if leading else 0

    def leading_to(self, targets: int, within: int) -> int:
        """Return the code objects of the set *within* that may call one of *targets*, directly or by others of it."""
        leading = 0
        pending = within & ~targets
        reached = targets
        while pending:
            new = 0
            for number in members(pending):
                if self._called[number] & reached:
                    new |= 1 << number
            if not new:
                break
            leading |= new
            reached |= new
            pending &= ~new
        return leading


def functions_with_kept_results(calls: Calls, changed: int, before: int, order: Iterable[int]) -> int:
    """Return the functions that may return results of *changed* code which an earlier test computed.

    *before* has the code objects that ran outside of tests, and *order* those of each test, in the order of the tests.
    """
    seen = before
    targets = changed
    kept = calls.keeping(targets & before, before) if changed & before else 0
    targets |= kept
    for work in order:
        new = work & ~seen
        if new:
            # Code in `keepers` that ran earlier may answer a call without being run.
            reachable = targets & (work | calls.keepers & seen)
            if reachable:
                found = calls.keeping(reachable, work) & new
                kept |= found
                targets |= found
            seen |= new
    return kept
