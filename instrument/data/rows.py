"""The rows that one flush writes: `Flush`, and the statements that insert many rows at once.

Tallies of lines and functions come in; rows of the tables of `instrument.data.schema` go to a connection.

Problem: SQLite releases the interpreter's lock for each statement, and a busy program returns it only after 5 ms.
Solution: one statement inserts up to 500 rows.
Alternatives: `executemany` releases the lock for each row. Statements of 1,000 rows take longer to parse than they
save. [3.12, 6,571 lines of 286 files, in million instructions: 71 with 1,000 rows, 65 with 500, 63 with 250]
"""

from __future__ import annotations

from instrument.data import schema, sqlite
from instrument.data.process_identity import CLOCK
from instrument.model.measurement import FACTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from sqlite3 import Connection
    from typing import Any, TypeAlias

    from instrument.model.measurement import Fact, FileKey, Series
    from instrument.plans.plan_folder import PlanFolder

    #: Count, first and last time, of a `Tally` or as a plain tuple.
    Times: TypeAlias = tuple[int, float, float]
    #: By the field of a `Fact`: file versions, each with its tallies by key, perhaps in several chunks.
    Tallies: TypeAlias = Mapping[str, Iterable[tuple[FileKey, Series | Mapping[Any, Times]]]]
    #: A code group: its file, the name of its plan file, its encoded ProbeCounts, and a function without arguments.
    #: That function returns the content of the plan file.
    ProbeRow: TypeAlias = tuple[FileKey, str, bytes, Callable[[], bytes]]
    #: A pattern: its number, its file, the name of its plan file, the number of its code object, its encoded counts.
    PatternRow: TypeAlias = tuple[int, FileKey, str, int, bytes]
    #: A context: its name, and the encoded numbers of its patterns.
    ContextRow: TypeAlias = tuple[str, bytes]
    #: A function that was given out: its file, qualified name, first line, and the receiver.
    GivenOut: TypeAlias = tuple[FileKey, str, int, str]

# Rows in one statement. SQLite admits 999 parameters before 3.32, and 32,766 since.
_ROWS = (500, 100, 16)
_ROWS_BEFORE_3_32 = (100, 16)


class WrittenState:
    """The content of the current data file of a process, which need not be written again.

    `files` maps each file version to its row number. `reasons` maps paths to why they were not measured. `ended` is
    how the process has ended, as written. `is_new` is True until the first flush to the file.
    """

    __slots__ = ("ended", "files", "given_out", "is_new", "reasons")

    def __init__(self) -> None:
        self.is_new = True
        self.files: dict[FileKey, int] = {}
        self.reasons: dict[str, str] = {}
        self.given_out: set[GivenOut] = set()
        self.ended = ""


class Flush:
    """One flush: the rows that it adds to a data file that is in the state *before*.

    `commit` moves the state on. It is called once the transaction is committed.
    """

    def __init__(
        self,
        process_id: str,
        before: WrittenState,
        number: int,
        *,
        tallies: Tallies,
        not_measured: Mapping[str, str],
        ended: str,
        given_out: Iterable[GivenOut],
        probes: Iterable[ProbeRow] = (),
        patterns: Iterable[PatternRow] = (),
        contexts: Iterable[ContextRow] = (),
        plans: PlanFolder | None = None,
        updated: float | None = None,
    ) -> None:
        """Prepare the flush *number* of the process with this id, at the time *updated*, or now if that is None.

        *plans* gets the plan files of *probes*, unless it is None.
        """
        self.number = number
        self._process_id = process_id
        self._before = before
        self._tallies = tallies
        self._files: dict[FileKey, int] = {}
        self._reasons = {path: why for path, why in not_measured.items() if before.reasons.get(path) != why}
        self._given_out = [each for each in given_out if each not in before.given_out]
        self._ended = ended
        self._probes = probes
        self._patterns = patterns
        self._contexts = contexts
        self._plans = plans
        self._updated = updated

    def write(self, connection: Connection, database: str = "main") -> None:
        """Write all rows to *database* of *connection*, in its open transaction."""
        n_rows = connection.total_changes
        for fact in FACTS:
            keys = ", ".join(column for column, _ in fact.columns)
            insert = f"INSERT OR REPLACE INTO {database}.{fact.table} (part, file, {keys}, count, first, last) VALUES "
            width = len(fact.columns) + 4
            _insert(connection, insert, f"(1{', ?' * width})", width, self._rows_of(fact))
        insert = f"INSERT OR REPLACE INTO {database}.probe_counts (part, file, plan, counts) VALUES "
        _insert(connection, insert, "(1, ?, ?, ?)", 3, self._rows_of_probes())
        insert = f"INSERT OR REPLACE INTO {database}.pattern (number, file, plan, code, counts) VALUES "
        _insert(connection, insert, "(?, ?, ?, ?, ?)", 5, self._rows_of_patterns())
        insert = f"INSERT OR REPLACE INTO {database}.context (part, name, patterns) VALUES "
        _insert(connection, insert, "(1, ?, ?)", 2, self._rows_of_contexts())
        insert = f"INSERT OR IGNORE INTO {database}.given_out (part, file, name, line, taker) VALUES "
        _insert(connection, insert, "(1, ?, ?, ?, ?)", 4, self._rows_of_given_out())
        connection.executemany(
            f"INSERT INTO {database}.file (id, path, version) VALUES (?, ?, ?)",
            [(n, schema.to_text(path), schema.to_text(version)) for (path, version), n in self._files.items()],
        )
        for path, why in self._reasons.items():
            row_of_path = (schema.to_text(path),)
            connection.execute(f"DELETE FROM {database}.not_measured WHERE part = 1 AND path = ?", row_of_path)
            row_of_reason = (schema.to_text(path), schema.to_text(why))
            insert = f"INSERT INTO {database}.not_measured (part, path, reason) VALUES (1, ?, ?)"
            connection.execute(insert, row_of_reason)
        if self._before.is_new or connection.total_changes != n_rows or self._ended != self._before.ended:
            updated = schema.within_range(CLOCK[0]()) if self._updated is None else self._updated
            state = (self.number, updated, schema.to_text(self._ended), self._process_id)
            statement = f"UPDATE {database}.process SET flushes = ?, updated = ?, ended = ? WHERE id = ?"
            update = connection.execute(statement, state)
            if update.rowcount != 1:
                raise sqlite.load().DatabaseError("the file holds another process now")

    def commit(self) -> None:
        """Add the rows of this flush to the state of the file."""
        state = self._before
        state.is_new = False
        state.files.update(self._files)
        state.reasons.update(self._reasons)
        state.given_out.update(self._given_out)
        state.ended = self._ended

    def _number_of(self, key: FileKey) -> int:
        """Return the row number of the file version *key*, which is a new one if the data file has no such row."""
        known = self._before.files
        number = known.get(key) or self._files.get(key)
        if number is None:
            number = self._files[key] = len(known) + len(self._files) + 1
        return number

    def _rows_of(self, fact: Fact) -> Iterator[list[object]]:
        """Yield the values of the rows of *fact*, row by row, in several chunks."""
        has_one_column, latest = len(fact.columns) == 1, schema.LATEST
        for file, tallies in self._tallies.get(fact.field, ()):
            if not tallies:
                continue
            number = self._number_of(file)
            values: list[object] = []
            # SQLite inserts rows in the order of their keys faster: 71 in place of 78 million instructions.
            for key, (count, first, last) in sorted(tallies.items()):
                if not 0.0 <= first <= last <= latest:
                    first, last = schema.within_range(first), schema.within_range(last)
                if has_one_column:
                    values += number, key, count, first, last
                else:
                    stored = [schema.to_text(value) if type(value) is str else value for value in key]
                    values += number, *stored, count, first, last
            yield values

    def _rows_of_probes(self) -> Iterator[tuple[object, ...]]:
        """Yield the values of the row of each code group, once its plan file is there."""
        for file, name, counts, content in self._probes:
            if self._plans is not None:
                self._plans.save(name, content)
            yield self._number_of(file), name, counts

    def _rows_of_patterns(self) -> Iterator[tuple[object, ...]]:
        """Yield the values of the row of each pattern."""
        for number, file, plan, code, counts in self._patterns:
            yield number, self._number_of(file), plan, code, counts

    def _rows_of_contexts(self) -> Iterator[tuple[object, ...]]:
        """Yield the values of the row of each context."""
        for name, patterns in self._contexts:
            yield schema.to_text(name), patterns

    def _rows_of_given_out(self) -> Iterator[tuple[object, ...]]:
        """Yield the values of the row of each function that was given out."""
        for key, name, line, receiver in self._given_out:
            yield self._number_of(key), schema.to_text(name), line, schema.to_text(receiver)


def _insert(connection: Connection, insert: str, row: str, width: int, chunks: Iterable[Iterable[object]]) -> None:
    """Insert the rows in *chunks*, each of *width* values, with few statements: see the head of this module."""
    sizes = _ROWS if sqlite.version() >= (3, 32) else _ROWS_BEFORE_3_32
    values: list[object] = []
    full = sizes[0] * width
    for chunk in chunks:
        values += chunk
        while len(values) >= full:
            connection.execute(_statement(insert, row, sizes[0]), values[:full])
            del values[:full]
    while values:
        # The remaining rows: the largest statement that they fill. The last statement repeats its last row, which then
        # replaces itself.
        size = next((size for size in sizes if size * width <= len(values)), sizes[-1])
        rows, values = values[: size * width], values[size * width :]
        rows += rows[-width:] * (size - len(rows) // width)
        connection.execute(_statement(insert, row, size), rows)


def _statement(insert: str, row: str, size: int) -> str:
    """Return the statement that begins with *insert* and inserts *size* rows, each as in *row*."""
    return insert + ", ".join([row] * size)
