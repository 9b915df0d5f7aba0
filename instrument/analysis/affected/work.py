"""WorkOfTests: which code objects each test ran, and each context outside of tests.

A stored measurement comes in. Code objects get numbers. Sets of them are integers with one bit for each: there may be
thousands of tests, each with hundreds of code objects.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.contexts.names import context_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.data.query import StoredMeasurement
    from instrument.model.measurement import FileKey, FunctionKey
    from instrument.plans.group_plans import GroupPlans


class Code(NamedTuple):
    """The code object *function* of *file*, a version of a source."""

    file: FileKey
    function: FunctionKey


class WorkOfTests:
    """The code objects that ran.

    - codes: all that ran in any context, by number
    - tests: the set of those of each test, by its node id
    - others: the set of those of each context outside of tests
    - reasons: why some are not known
    """

    def __init__(
        self, codes: list[Code], tests: dict[str, int], others: dict[str, int], reasons: Iterable[str]
    ) -> None:
        self.codes, self.tests, self.others, self.reasons = codes, tests, others, list(reasons)
        #: The set of the code objects of each file.
        self.of_file: dict[FileKey, int] = {}
        for number, code in enumerate(codes):
            self.of_file[code.file] = self.of_file.get(code.file, 0) | 1 << number


def read_work(stored: StoredMeasurement) -> WorkOfTests:
    """Return the work in *stored*."""
    contexts = stored.contexts()
    numbers: dict[Code, int] = {}
    code_of_pattern: dict[int, int] = {}
    for file in stored.files():
        names: dict[GroupPlans, dict[int, FunctionKey]] = {}
        for pattern in stored.patterns(contexts, file):
            if pattern.plans not in names:
                names[pattern.plans] = {number: (name, line) for number, name, line in pattern.plans.functions()}
            function = names[pattern.plans].get(pattern.code, ("", 0))
            code_of_pattern[pattern.number] = numbers.setdefault(Code(file, function), len(numbers))
    tests: dict[str, int] = {}
    others: dict[str, int] = {}
    for text, patterns in contexts.all_numbers():
        context = context_of(text)
        sets = tests if context.is_test else others
        found = {code_of_pattern[number] for number in patterns if number in code_of_pattern}
        sets[context.name] = sets.get(context.name, 0) | set_of(found)
    return WorkOfTests(list(numbers), tests, others, contexts.reasons.values())


def set_of(numbers: Iterable[int]) -> int:
    """Return the set of *numbers*."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def members(bits: int) -> Iterator[int]:
    """Yield the numbers in the set *bits*, from the lowest."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
