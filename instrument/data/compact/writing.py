"""Makes the bytes of a compact data file: `instrument.data.compact` describes them.

The row of a process and its tallies come in; bytes go out. This code runs while a measured process ends, so it calls
functions in C for all rows of a fact at once.
"""

from __future__ import annotations

import sys
from _imp import source_hash
from _struct import pack
from itertools import chain

from instrument.data import schema
from instrument.data.compact import (
    CHECKSUM_KEY,
    HEADER,
    LAYOUT,
    MAGIC,
    PROCESS_NUMBERS,
    PROCESS_TEXTS,
    PROCESS_TIMES,
)
from instrument.guest.own_imports import extension
from instrument.model.measurement import FACTS, Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

    from instrument.data.rows import GivenOut, ProbeRow, Tallies, Times
    from instrument.model.measurement import Fact, FileKey
else:
    array = extension("array").array

_IS_BIG_ENDIAN = sys.byteorder == "big"


def encoded(
    process: Mapping[str, Any],
    tallies: Tallies,
    not_measured: Mapping[str, str],
    given_out: Iterable[GivenOut],
    probes: Iterable[ProbeRow] = (),
) -> bytes:
    """Return the bytes of the file for *process*, which maps columns of the table `process` to their values.

    The others are as for `Writer.write`. Raise OverflowError if a number takes more than 64 bits.
    """
    probes = list(probes)
    encoder = _Encoder()
    encoder.numbers.append(sum([len(counts) for _file, _name, counts, _content in probes]))
    encoder.add_process(process)
    encoder.numbers.append(len(FACTS))
    for fact in FACTS:
        encoder.add_fact(fact, tallies.get(fact.field, ()))
    encoder.numbers.append(len(not_measured))
    for path, reason in not_measured.items():
        encoder.add_texts((path, reason))
    functions = list(dict.fromkeys(given_out))
    encoder.numbers.append(len(functions))
    for file, name, line, receiver in functions:
        encoder.numbers.append(encoder.number_of(file))
        encoder.add_texts((name,))
        encoder.numbers.append(line)
        encoder.add_texts((receiver,))
    groups = [(encoder.number_of(file), name, counts) for file, name, counts, _content in probes]
    encoder.numbers.append(len(encoder.files))
    for key in encoder.files:
        encoder.add_texts(key)
    encoder.add_groups(groups)
    return encoder.content()


class _Encoder:
    """Collects the `numbers`, `times` and `texts` of a file. `files` maps file versions to their numbers."""

    def __init__(self) -> None:
        self.numbers: array[int] = array("q")
        self.times: array[float] = array("d")
        self.texts: list[str] = []
        self.files: dict[FileKey, int] = {}
        self._counts_of_probes: list[bytes] = []

    def add_texts(self, texts: Iterable[str]) -> None:
        """Add each of *texts*."""
        texts = tuple(texts)
        self.numbers.extend(map(len, texts))
        self.texts.extend(texts)

    def number_of(self, file: FileKey) -> int:
        """Return the number of *file*, which is a new one if the file has none."""
        return self.files.setdefault(file, len(self.files))

    def add_process(self, process: Mapping[str, Any]) -> None:
        """Add the row of *process*."""
        self.add_texts([process[column] or "" for column in PROCESS_TEXTS])
        self.numbers.append(process["scope"] is not None)
        self.numbers.extend([process[column] for column in PROCESS_NUMBERS])
        self.times.extend([schema.within_range(process[column]) for column in PROCESS_TIMES])

    def add_fact(self, fact: Fact, chunks: Iterable[tuple[FileKey, Series | Mapping[Any, Times]]]) -> None:
        """Add the tallies of *fact*, from *chunks*: file versions with tallies by key."""
        numbers, files, sections = self.numbers, self.files, []
        self.add_texts((fact.table,))
        for file, tallies in chunks:
            if tallies:
                sections.append((files.setdefault(file, len(files)), *_columns(tallies)))
        numbers.append(len(sections))
        if not sections:
            return
        file_numbers, keys, counts, firsts, lasts = zip(*sections)
        numbers.extend(file_numbers)
        numbers.extend(map(len, keys))
        all_keys: Iterable[Any] = chain.from_iterable(keys)
        for (_, type_), column in zip(fact.columns, [all_keys] if len(fact.columns) == 1 else zip(*all_keys)):
            if type_ is str:
                self.add_texts(column)
            else:
                numbers.extend(column)
        numbers.frombytes(b"".join(counts))
        numbers.append(self._add_times(array("d", b"".join(firsts)), array("d", b"".join(lasts))))

    def _add_times(self, firsts: array[float], lasts: array[float]) -> int:
        """Add *firsts* and *lasts*, and return how many of each were added: one if all are equal."""
        if _are_equal(firsts) and _are_equal(lasts):  # as in a process that reads its counters once
            firsts, lasts = firsts[:1], lasts[:1]
        self.times.extend(map(schema.within_range, firsts))
        self.times.extend(map(schema.within_range, lasts))
        return len(firsts)

    def add_groups(self, groups: list[tuple[int, str, bytes]]) -> None:
        """Add code *groups*: the number of a file, the name of a plan file, and encoded ProbeCounts."""
        self.numbers.append(len(groups))
        self.numbers.extend([number for number, _, _ in groups])
        self.add_texts([name for _, name, _ in groups])
        self.numbers.extend([len(counts) for _, _, counts in groups])
        self._counts_of_probes = [counts for _, _, counts in groups]

    def content(self) -> bytes:
        """Return the bytes of the file."""
        if _IS_BIG_ENDIAN:
            self.numbers.byteswap()
            self.times.byteswap()
        text = "".join(self.texts).encode("utf-8", "surrogatepass")
        body = b"".join((self.numbers.tobytes(), self.times.tobytes(), text, *self._counts_of_probes))
        return header(schema.VERSION, len(self.numbers), len(self.times), len(text), body) + body


def header(version: int, n_numbers: int, n_times: int, n_bytes: int, body: bytes) -> bytes:
    """Return the header of a file in this *version* of the format with this *body*."""
    start = pack(HEADER, MAGIC, LAYOUT, version, n_numbers, n_times, n_bytes, b"")[:-8]
    return start + source_hash(CHECKSUM_KEY, start + body)


def _columns(
    tallies: Series | Mapping[Any, Times],
) -> tuple[Collection[Any], array[int], array[float], array[float]]:
    """Return the keys of *tallies*, and their counts, first and last times, each in the same order."""
    if isinstance(tallies, Series):
        return tallies.columns()
    counts, firsts, lasts = zip(*tallies.values())
    return tallies.keys(), array("q", counts), array("d", firsts), array("d", lasts)


def _are_equal(times: array[float]) -> bool:
    """Return whether all *times* are the same, by their bytes: `array` would make an object of each."""
    return times.tobytes() == times[:1].tobytes() * len(times)
