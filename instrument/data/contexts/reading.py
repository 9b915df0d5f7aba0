"""StoredContexts: reads the contexts of a sum of data files, and their patterns.

The database of the sum comes in (`data.query`). Names of contexts go out, patterns of files, and the numbers of the
patterns that a context has.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.data import schema
from instrument.errors import DataError
from instrument.model import pattern_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from instrument.model.probe_counts import ProbeCounts
    from instrument.plans.found_plans import Plans
    from instrument.plans.group_plans import GroupPlans


class Pattern(NamedTuple):
    """The work of the code object *code* of *plans* that contexts with the pattern *number* have in common."""

    number: int
    plans: GroupPlans
    code: int
    counts: ProbeCounts


class StoredContexts:
    """The contexts in a database; *query* executes SQL there, and *plans* finds plan files.

    `reasons` says why patterns are left out: one text for each plan that is not found.
    """

    def __init__(self, query: Callable[..., Any], plans: Plans) -> None:
        self._query = query
        self._plans = plans
        self.reasons: dict[str, str] = {}

    def names(self) -> list[str]:
        """Return the names of all contexts, sorted."""
        rows = self._query("SELECT name FROM context WHERE part = 0")
        return sorted(schema.from_text(name) for (name,) in rows)

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of the patterns of the context *name*, sorted; a number may be there several times."""
        query = "SELECT patterns FROM context WHERE part = 0 AND name = ?"
        row = self._query(query, (schema.to_text(name),)).fetchone()
        return pattern_numbers.decoded(row[0]) if row else []

    def all_numbers(self) -> Iterator[tuple[str, list[int]]]:
        """Yield each context with the numbers of its patterns, in no order."""
        for name, patterns in self._query("SELECT name, patterns FROM context WHERE part = 0"):
            yield schema.from_text(name), pattern_numbers.decoded(patterns)

    def patterns(self, file: int) -> Iterator[Pattern]:
        """Yield the patterns of the file with the row number *file*, but for those whose plan is not found."""
        rows = self._query("SELECT number, plan, code, counts FROM pattern WHERE file = ?", (file,)).fetchall()
        for number, name, code, counts in rows:
            try:
                plans = self._plans.plan(name)
            except DataError as error:
                self.reasons[name] = f"{error}"
                continue
            yield Pattern(number, plans, code, plans.counts_in_code(code, counts))
