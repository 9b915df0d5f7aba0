"""ContextRows: checks and adds contexts and their patterns when databases of data files are merged.

A connection comes in, with the sum as its database `main` and a data file as another one: see `instrument.data.merge`.

Each data file numbers its patterns from 1 on. The sum has each pattern once, under a number of its own, and the
contexts get these numbers. A context that several processes have is one context in the sum.
"""

from __future__ import annotations

from instrument.errors import DataError
from instrument.model import pattern_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection

    from instrument.plans.found_plans import Plans

_SAME_FILE = "CROSS JOIN main.file AS new ON new.path = old.path AND new.version = old.version"
#: The patterns of a data file, with the file as the sum numbers it, and the number of the pattern in the sum, if any.
_PATTERNS = f"""
    SELECT theirs.number, ours.number, new.id, theirs.plan, theirs.code, theirs.counts
    FROM {{source}}.file AS old
    {_SAME_FILE}
    CROSS JOIN {{source}}.pattern AS theirs ON theirs.file = old.id
    LEFT JOIN main.pattern AS ours
        ON ours.file = new.id AND ours.plan = theirs.plan AND ours.code = theirs.code AND ours.counts = theirs.counts
"""
_ADD_CONTEXTS = """
    INSERT INTO main.context (part, name, patterns)
    SELECT ?, name, renumbered(patterns) FROM {source}.context WHERE part = ?
    ON CONFLICT (part, name) DO UPDATE SET patterns = both_patterns(patterns, excluded.patterns)
"""


class ContextRows:
    """The tables `context` and `pattern` of the databases of *connection*; *plans* finds plan files."""

    def __init__(self, connection: Connection, plans: Plans) -> None:
        self._connection = connection
        self._plans = plans
        #: The number of each pattern in the sum, by its number in the data file that is added; None for the sum itself.
        self._numbers: dict[int, int] | None = None
        connection.create_function("renumbered", 1, self._renumbered)
        connection.create_function("both_patterns", 2, _both)

    def check(self, source: str) -> None:
        """Check that contexts in the database *source* name patterns of it, and compare patterns with their plans.

        Plans that are not found are not needed: `data.contexts.reading` leaves such patterns out. Raise DataError.
        """
        numbers = set()
        query = f"SELECT number, plan, code, counts FROM {source}.pattern"
        for number, name, code, counts in self._connection.execute(query):
            if number in numbers:
                raise DataError("it has two patterns with one number")
            numbers.add(number)
            try:
                plan = self._plans.plan(name)
            except DataError:
                continue
            plan.counts_in_code(code, counts)
        for (patterns,) in self._connection.execute(f"SELECT patterns FROM {source}.context"):
            if not numbers.issuperset(_decoded(patterns)):
                raise DataError("a context in it has a pattern that it lacks")

    def add(self, source: str, part: int, their_part: int) -> None:
        """Add the contexts of *their_part* in the database *source*, and their patterns, to *part* of the sum."""
        self._numbers = None if source == "main" else self._add_patterns(source)
        self._connection.execute(_ADD_CONTEXTS.format(source=source), (part, their_part))

    def _add_patterns(self, source: str) -> dict[int, int]:
        """Add the patterns of *source* that the sum lacks. Return the number in the sum of each of its patterns."""
        execute = self._connection.execute
        [next_number] = execute("SELECT ifnull(max(number), 0) + 1 FROM main.pattern").fetchone()
        numbers: dict[int, int] = {}
        new: list[tuple[object, ...]] = []
        for theirs, ours, *values in execute(_PATTERNS.format(source=source)):
            if ours is None:
                ours = next_number + len(new)
                new.append((ours, *values))
            numbers[theirs] = ours
        insert = "INSERT INTO main.pattern (number, file, plan, code, counts) VALUES (?, ?, ?, ?, ?)"
        self._connection.executemany(insert, new)
        return numbers

    def _renumbered(self, patterns: bytes) -> bytes:
        numbers = self._numbers
        return patterns if numbers is None else pattern_numbers.encoded(numbers[each] for each in _decoded(patterns))


def _both(one: bytes, other: bytes) -> bytes:
    """Return the encoded patterns of one context in two processes."""
    return pattern_numbers.encoded([*_decoded(one), *_decoded(other)])


def _decoded(patterns: bytes) -> Iterable[int]:
    try:
        return pattern_numbers.decoded(patterns)
    except ValueError as error:
        raise DataError(f"it is damaged: {error}") from error
