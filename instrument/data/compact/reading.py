"""Reads compact data files without trust in them: `instrument.data.compact` describes them.

The bytes of a file come in. A `Content` goes out, and `make_database` or `CompactDatabase` makes a database of it, in
the format of `data.schema`. So all that is behind the readers of data files deals with databases only. Before that,
`Content.recover` recovers the counts of lines and functions from those of probes.

A file is as untrusted as any data file. Every length is compared with the rest of the file before use, and every
number, time and text is checked. Nothing may be left over. The checksum shows damage. A forger can compute it, so
nothing else depends on it.
"""

from __future__ import annotations

import os
import sys
from _imp import source_hash
from _struct import unpack
from array import array
from itertools import accumulate, islice

from instrument.data import schema, sqlite
from instrument.data.compact import (
    CHECKSUM_KEY,
    HEADER,
    HEADER_SIZE,
    LAYOUT,
    PROCESS_NUMBERS,
    PROCESS_TEXTS,
    PROCESS_TIMES,
)
from instrument.data.rows import Flush, WrittenState
from instrument.errors import ConservationError, DataError
from instrument.model.measurement import FACTS, FileCounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from sqlite3 import Connection
    from typing import Any

    from instrument.data.rows import GivenOut, Times
    from instrument.model.measurement import Fact, FileKey
    from instrument.plans.found_plans import Plans

_IS_BIG_ENDIAN = sys.byteorder == "big"


class _Values:
    """The numbers, times and characters of a file, to be taken one after the other; DataError if too few are left."""

    def __init__(self, numbers: array[int], times: array[float], text: str) -> None:
        self._numbers, self._n_taken = numbers, 0
        self._times, self._n_times_taken = times, 0
        self._text, self._n_characters_taken = text, 0

    def numbers(self, n: int) -> array[int]:
        """Return the next *n* numbers, all of which are 0 or more."""
        if not 0 <= n <= len(self._numbers) - self._n_taken:
            raise DataError("it is damaged: a list in it is longer than the file")
        numbers = self._numbers[self._n_taken : self._n_taken + n]
        if n and min(numbers) < 0:
            raise DataError("it holds a value that cannot be: a negative number")
        self._n_taken += n
        return numbers

    def number(self) -> int:
        """Return the next number, which is 0 or more."""
        return self.numbers(1)[0]

    def times(self, n: int) -> array[float]:
        """Return the next *n* times, all of which a data file can hold."""
        if not 0 <= n <= len(self._times) - self._n_times_taken:
            raise DataError("it is damaged: a list in it is longer than the file")
        times = self._times[self._n_times_taken : self._n_times_taken + n]
        if not all(0.0 <= time <= schema.LATEST for time in times):
            raise DataError("it holds a value that cannot be: a time")
        self._n_times_taken += n
        return times

    def texts(self, n: int) -> list[str]:
        """Return the next *n* texts."""
        texts = []
        for length in self.numbers(n):
            end = self._n_characters_taken + length
            if end > len(self._text):
                raise DataError("it is damaged: a text in it is longer than the file")
            texts.append(self._text[self._n_characters_taken : end])
            self._n_characters_taken = end
        return texts

    def is_empty(self) -> bool:
        """Return whether all was taken."""
        taken = self._n_taken, self._n_times_taken, self._n_characters_taken
        return taken == (len(self._numbers), len(self._times), len(self._text))


class Content:
    """The content of the compact file with the bytes *data*. DataError has the reason if it is no sound file.

    - `process`: maps columns of the table `process` to their values.
    - `tallies`: by the field of a fact, file versions with tallies by key. `recover` adds to them.
    - `probes`: for each code group, its file version, the name of its plan file, and the encoded ProbeCounts.
    - `not_measured`: pairs of a path and a reason; `given_out`: the functions that were given out.
    """

    def __init__(self, data: bytes) -> None:
        reason = complaint(data[:HEADER_SIZE])
        if reason:
            raise DataError(reason)
        _magic, layout, self.version, n_numbers, n_times, n_bytes, checksum = unpack(HEADER, data[:HEADER_SIZE])
        end_of_text = HEADER_SIZE + 8 * (n_numbers + n_times) + n_bytes
        expected = end_of_text + _size_of_probes(data, layout)
        if len(data) != expected:
            raise DataError(f"it is damaged: it has {len(data)} bytes, not {expected}")
        if source_hash(CHECKSUM_KEY, data[: HEADER_SIZE - 8] + data[HEADER_SIZE:]) != checksum:
            raise DataError("it is damaged: its checksum is another")
        values = _values_in(data[:end_of_text], n_numbers, n_times)
        if layout > 1:
            values.number()  # the size of the counts of probes
        self.process = _process_in(values)
        facts = [fact for fact in FACTS if fact.since <= self.version]
        if values.number() != len(facts):
            raise DataError(f"it is damaged: it has not the facts of format {self.version}")
        sections = {fact.field: _sections_in(values, fact) for fact in facts}
        reasons = [values.texts(2) for _ in range(values.number())]
        functions: list[tuple[Any, ...]] = [
            (values.number(), *values.texts(1), values.number(), *values.texts(1)) for _ in range(values.number())
        ]
        files: list[Any] = [tuple(values.texts(2)) for _ in range(values.number())]
        groups = _groups_in(values, data[end_of_text:]) if layout > 1 else []
        if not values.is_empty():
            raise DataError("it is damaged: it has values that belong to nothing")
        try:
            self.probes = [(files[number], *others) for number, *others in groups]
            self.tallies = {
                field: [(files[number], tallies) for number, tallies in chunks] for field, chunks in sections.items()
            }
            self.given_out: list[GivenOut] = [(files[number], *others) for number, *others in functions]
        except IndexError as error:
            raise DataError("it is damaged: it has counts of a file that it does not name") from error
        self.not_measured = dict(reasons)

    def recover(self, plans: Plans) -> None:
        """Add the counts of lines and functions that follow from those of probes, by the plan files of *plans*.

        Raise DataError if a plan file is missing or damaged. A file whose counts contradict each other is not measured.
        """
        recovered: dict[FileKey, FileCounts] = {}
        now = self.process["updated"]
        for file, name, encoded in self.probes:
            counts = recovered.setdefault(file, FileCounts())
            try:
                plan = plans.plan(name)
                for function, line, counted in plan.counts(plan.counts_in(encoded)):
                    counts.add_code((function, line), counted, now)
            except ConservationError as error:
                self.not_measured.setdefault(file[0], f"{error}")
        for field, chunks in self.tallies.items():
            chunks += [(file, dict(getattr(counts, field).items())) for file, counts in recovered.items()]


def _size_of_probes(data: bytes, layout: int) -> int:
    """Return the length in bytes of the counts of probes in the file with the bytes *data*, of this *layout*."""
    return int.from_bytes(data[HEADER_SIZE : HEADER_SIZE + 8], "little") if layout > 1 else 0


def _groups_in(values: _Values, encoded: bytes) -> list[tuple[int, str, bytes]]:
    """Return the code groups in *values*: number of the file, name of the plan file, and its part of *encoded*."""
    n = values.number()
    numbers, names, lengths = values.numbers(n), values.texts(n), values.numbers(n)
    if sum(lengths) != len(encoded):
        raise DataError("it is damaged: the counts of probes have another length than they should")
    ends = [*accumulate(lengths, initial=0)]
    return [(number, name, encoded[end - n : end]) for number, name, n, end in zip(numbers, names, lengths, ends[1:])]


def complaint(header: bytes) -> str:
    """Return why a file with this *header*, which begins with MAGIC, cannot be read; an empty text if it can."""
    if len(header) < HEADER_SIZE:
        return f"it is cut off after {len(header)} bytes"
    _magic, layout, version, *_sizes = unpack(HEADER, header[:HEADER_SIZE])
    if layout > LAYOUT or version > schema.VERSION:
        return (
            f"it is in format {version}, layout {layout}, and this version of instrument reads none newer than "
            f"{schema.VERSION} and {LAYOUT}; upgrade instrument"
        )
    if layout < 1 or version < 1:
        return f"it is in format {version}, layout {layout}, which never was"
    return ""


def _values_in(data: bytes, n_numbers: int, n_times: int) -> _Values:
    """Return the values of the file with the bytes *data*, of which the header gives these lengths."""
    begin, end = HEADER_SIZE + 8 * n_numbers, HEADER_SIZE + 8 * (n_numbers + n_times)
    numbers: array[int] = array("q", data[HEADER_SIZE:begin])
    times: array[float] = array("d", data[begin:end])
    if _IS_BIG_ENDIAN:
        numbers.byteswap()
        times.byteswap()
    try:
        return _Values(numbers, times, data[end:].decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError as error:
        raise DataError("it is damaged: it has a text that is not UTF-8") from error


def _process_in(values: _Values) -> dict[str, Any]:
    """Return the row of the process in *values*, by column."""
    process: dict[str, Any] = dict(zip(PROCESS_TEXTS, values.texts(len(PROCESS_TEXTS))))
    has_scope = values.number()
    process |= zip(PROCESS_NUMBERS, values.numbers(len(PROCESS_NUMBERS)))
    process |= zip(PROCESS_TIMES, values.times(len(PROCESS_TIMES)))
    if not has_scope:
        process["scope"] = None
    if not process["id"].isascii():
        raise DataError("it holds a value that cannot be: the id of its process")
    return process


def _sections_in(values: _Values, fact: Fact) -> list[tuple[int, dict[Any, Times]]]:
    """Return the sections of *fact* in *values*: numbers of files, each with tallies by key."""
    [table] = values.texts(1)
    if table != fact.table:
        raise DataError(f"it is damaged: it has a table {table!r} in the place of {fact.table!r}")
    n_sections = values.number()
    files, lengths = values.numbers(n_sections), values.numbers(n_sections)
    if not n_sections:
        return []
    n = sum(lengths)
    columns: list[Iterable[Any]] = [values.texts(n) if type_ is str else values.numbers(n) for _, type_ in fact.columns]
    counts, n_times = values.numbers(n), values.number()
    if n_times not in (1, n):
        raise DataError("it is damaged: a list in it has another length than it should")
    firsts, lasts = values.times(n_times), values.times(n_times)
    if n_times < n:
        firsts, lasts = firsts * n, lasts * n
    rows = zip(columns[0] if len(columns) == 1 else zip(*columns), zip(counts, firsts, lasts))
    return [(file, dict(islice(rows, length))) for file, length in zip(files, lengths)]


class CompactDatabase:
    """The database `compact` of *connection*, in memory: it holds one compact file at a time, the last one.

    To make a file of each, and to attach that, takes longer than all else.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute("ATTACH ':memory:' AS compact")
        for statement in schema.create("compact"):
            connection.execute(statement)

    def fill(self, content: Content) -> None:
        """Replace all that the database holds by *content*."""
        self._connection.execute("BEGIN")
        try:
            for table in schema.TABLES:
                self._connection.execute(f"DELETE FROM compact.{table}")
            _fill(self._connection, content, "compact")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _no_content() -> bytes:
    """Return nothing: whoever makes a database finds plan files by their names."""
    return b""


def make_database(content: Content, path: str) -> None:
    """Write *content* to a new database at *path*, which no other process opens, in place of an existing file.

    Raise OSError or an error of SQLite if that is impossible.
    """
    if os.path.lexists(path):
        os.unlink(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite.connect(path, is_private=True)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in schema.create():
            connection.execute(statement)
        connection.execute("BEGIN")
        _fill(connection, content)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _fill(connection: Connection, content: Content, database: str = "main") -> None:
    """Write *content* to the empty tables of *database* of *connection*, in its open transaction."""
    process, to_text = content.process, schema.to_text
    row = [to_text(value) if type(value) is str else value for value in process.values()]
    columns = ", ".join(process)
    connection.execute(f"INSERT INTO {database}.process (part, {columns}) VALUES (1{', ?' * len(row)})", row)
    flush = Flush(
        process["id"],
        WrittenState(),
        process["flushes"],
        tallies=content.tallies,
        not_measured=content.not_measured,
        ended=process["ended"],
        given_out=content.given_out,
        probes=[(*each, _no_content) for each in content.probes],
        updated=process["updated"],
    )
    flush.write(connection, database)
