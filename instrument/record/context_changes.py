"""ContextChanges: the patterns and contexts of this process that the data file does not have yet, as rows.

`ContextCounts` come in, and rows of `data.rows` go out. Patterns of code outside of the scope are left out.
"""

from __future__ import annotations

from instrument.model import pattern_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from instrument.data.rows import ContextRow, PatternRow
    from instrument.link.code_group import CodeGroup
    from instrument.model.measurement import FileKey
    from instrument.record.contexts import ContextCounts

    #: Source file, name of the plan file, number of the code object, and encoded counts of a pattern.
    _Content = tuple[FileKey, str, int, bytes]


class ContextChanges:
    """The changes of *contexts* since the last write.

    *place_of* returns the source file of a code group and the name of its plan file; None for code that is not saved.
    """

    def __init__(self, contexts: ContextCounts, place_of: Callable[[CodeGroup], tuple[FileKey, str] | None]) -> None:
        self._contexts = contexts
        self._place_of = place_of
        #: The row number of each pattern, by the pattern's own number; 0 if it is not saved.
        self._row_numbers: list[int] = []
        #: Several groups may have the same code, and their patterns are the same then.
        self._numbers: dict[_Content, int] = {}
        self._rows: list[PatternRow] = []
        self._n_written = self._n_taken = 0
        #: How many patterns each context had when it was written, and when it was taken.
        self._lengths_written: dict[str, int] = {}
        self._lengths_taken: dict[str, int] = {}

    def have_changed(self) -> bool:
        """Return whether there is anything that was not written."""
        return any(len(each) != self._lengths_written.get(name) for name, each in [*self._contexts.contexts.items()])

    def take(self) -> tuple[list[PatternRow], list[ContextRow]]:
        """Return the rows of the patterns and contexts that were not written; once they are, call `commit`."""
        changed = [
            (name, each[:])
            for name, each in [*self._contexts.contexts.items()]
            if len(each) != self._lengths_written.get(name)
        ]
        self._lengths_taken = {name: len(each) for name, each in changed}
        self._number_patterns()
        rows = self._row_numbers
        contexts = [
            (name, pattern_numbers.encoded([row for number in numbers if (row := rows[number])]))
            for name, numbers in changed
        ]
        self._n_taken = len(self._rows)
        return self._rows[self._n_written :], contexts

    def _number_patterns(self) -> None:
        """Give numbers to the rows of new patterns."""
        for _, group, index, counts in self._contexts.patterns(len(self._row_numbers)):
            place = self._place_of(group)
            row_number = 0
            if place is not None:
                content = *place, index, counts.encoded()
                row_number = self._numbers.setdefault(content, len(self._numbers) + 1)
                if row_number > len(self._rows):
                    self._rows.append((row_number, *content))
            self._row_numbers.append(row_number)

    def commit(self) -> None:
        """Note that the rows of the last `take` are written."""
        self._n_written = self._n_taken
        self._lengths_written.update(self._lengths_taken)
        self._lengths_taken = {}

    def mark_all(self) -> None:
        """Note that nothing is written, because the data file is lost."""
        self._n_written = 0
        self._lengths_written = {}
