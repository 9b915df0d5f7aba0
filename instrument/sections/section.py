"""Section: the counts of the code that runs in a `with` block, by function and by line.

Names of functions come in, numbers go out. They are exact, and have the work of all threads of this process. Child
processes are not among them.
"""

from __future__ import annotations

from instrument.analysis.growth.units import CALLS, EXECUTIONS, INSTRUCTIONS, work_in
from instrument.errors import InstrumentError
from instrument.sections import segments
from instrument.sections.functions import Functions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from instrument.link.code_group import CodeGroup
    from instrument.model.probe_counts import ProbeCounts
    from instrument.sections.functions import Code
    from instrument.sections.segments import Work


class Section:
    """The counts of the code that *items* select, a scope, while a `with` block runs; no items select own code.

    In the block, the numbers are those until now. Afterwards, they are those of the block. A function is named by
    module and qualified name, such as "shop.cart.Cart.add", or by file, such as "shop/cart.py:Cart.add". The name of a
    module or package stands for all of its functions. Each method raises InstrumentError if nothing has the name.
    """

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items
        self._first: int | None = None
        self._work: Work | None = None
        self._functions: Functions | None = None

    def __enter__(self) -> Section:
        """Begin to count. Functions that exist are counted from now on, and modules as they are imported."""
        if self._first is not None:
            raise InstrumentError("this section was entered before; make another one")
        scope = segments.measure(self._items)
        self._functions = Functions(self._groups, scope.selects, self._scope_in_words(), segments.not_measured)
        self._first = segments.begin()
        return self

    def __exit__(self, *exception: object) -> None:
        """End. The numbers stay."""
        assert self._first is not None
        self._work = segments.end(self._first)

    def __repr__(self) -> str:
        return f"<counts of {self._scope_in_words()}>"

    def _scope_in_words(self) -> str:
        return ", ".join(self._items) or "own code"

    def calls(self, function: str) -> int:
        """Return how often *function* was called. Resumptions of a generator or coroutine do not count."""
        return self.work(function, CALLS)

    def instructions(self, function: str) -> int:
        """Return how many bytecode instructions *function* executed, without those of the functions that it called."""
        return self.work(function, INSTRUCTIONS)

    def executions(self, function: str) -> int:
        """Return how often lines of *function* ran, added up; a statement over several lines counts once on each."""
        return self.work(function, EXECUTIONS)

    def lines(self, module: str, line: int) -> int:
        """Return how often *line* of *module* ran, as `trace` counts; *module* is a dotted name or a path.

        Raise InstrumentError if the module has no counted code on this line.
        """
        work, n, has_code = self._work_now(), 0, False
        for code in self._known().module(module):
            probes = _probes(work, code)
            if probes is not None:
                ran = code.counts(probes).lines.get(line)
                n += ran or 0
                has_code = has_code or ran is not None
            has_code = has_code or line in code.flow(None).instructions
        if not has_code:
            raise InstrumentError(f"line {line} of {module} has no counted code")
        return n

    @property
    def total(self) -> int:
        """How many bytecode instructions all code of the scope executed."""
        return self._sum(self._known().codes(), INSTRUCTIONS)

    def work(self, name: str, unit: str) -> int:
        """Return the work of the function or module *name* in *unit*, one of UNITS."""
        return self._sum(self._known().find(name), unit)

    def _known(self) -> Functions:
        if self._functions is None:
            raise InstrumentError("this section has not begun; enter it by `with`")
        return self._functions

    def _sum(self, codes: Iterable[Code], unit: str) -> int:
        work = self._work_now()
        return sum(
            work_in(unit, code.flow(probes), is_function=code.function == code.owner)
            for code, probes in _that_ran(codes, work)
        )

    def _work_now(self) -> Work:
        """Return the work of the section until now, or until its end."""
        self._known()
        assert self._first is not None
        return segments.work_since(self._first) if self._work is None else self._work

    def _groups(self) -> list[CodeGroup]:
        """Return the groups of all live code, and those of the section that were retired."""
        groups = {group.number: group for group in segments.groups_now()}
        for group, _ in (self._work or {}).values():
            groups.setdefault(group.number, group)
        return [*groups.values()]


def _probes(work: Work, code: Code) -> ProbeCounts | None:
    """Return the counts in *work* of the probes of *code*; None if it did nothing."""
    found = work.get((code.group.number, code.index))
    return found[1] if found is not None else None


def _that_ran(codes: Iterable[Code], work: Work) -> Iterator[tuple[Code, ProbeCounts]]:
    for code in codes:
        probes = _probes(work, code)
        if probes is not None:
            yield code, probes
