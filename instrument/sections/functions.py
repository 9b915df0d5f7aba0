"""Finds code objects by the names that users write: "shop.cart.Cart.add", "shop/cart.py:Cart.add", or "shop.cart".

Groups of live code come in. Code objects go out, each a `Code`, whether they ran or not.
"""

from __future__ import annotations

import os
from difflib import get_close_matches

from instrument.errors import InstrumentError
from instrument.flow.conservation import recover_flows
from instrument.flow.derived.derivation import add_flow
from instrument.flow.derived.owners import owner_of
from instrument.link.source_versions import absolute
from instrument.model.flow_counts import FlowCounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from instrument.link.code_group import CodeGroup
    from instrument.model.counts import Counts
    from instrument.model.measurement import FunctionKey
    from instrument.model.probe_counts import ProbeCounts


class Code:
    """A code object: the one with the number *index* in its *group*.

    `function` is its qualified name and first line, and `owner` the function that it is part of: see `owner_of`.
    """

    def __init__(self, known: KnownGroup, index: int, function: FunctionKey, owner: FunctionKey) -> None:
        self._known = known
        self.group = known.group
        self.index = index
        self.function = function
        self.owner = owner

    def counts(self, probes: ProbeCounts) -> Counts:
        """Return the Counts that follow from *probes*; raise ConservationError if these contradict each other."""
        info = self._known.packed.fast_path_info(self.index)
        in_flight = {unit: n for (_, unit), n in probes.in_flight.items()}
        return self._known.packed.recover(self.index, info, probes.fired.tolist(), [*probes.exits.items()], in_flight)

    def flow(self, probes: ProbeCounts | None) -> FlowCounts:
        """Return the FlowCounts that follow from *probes*, zeros for None.

        Raise ConservationError if the probes contradict each other.
        """
        packed, flows = self._known.packed, None
        info = packed.recovery_info(self.index)
        if probes is not None:
            n_records = len(info.plan.exits)
            exits = {self.group.exit_at(position, n_records): n for position, n in probes.exits.items()}
            in_flight = {unit: n for (_, unit), n in probes.in_flight.items()}
            flows = recover_flows(info.plan, info.observe(probes.fired.tolist(), exits, in_flight))
        flow = FlowCounts()
        add_flow(flow, self.function, packed.facts(self.index), info.plan, flows)
        return flow


class KnownGroup:
    """A code *group* whose names are unpacked."""

    def __init__(self, group: CodeGroup) -> None:
        self.group = group
        self.packed = group.packed()
        self.path = absolute(group.file_name)
        functions = {
            index: (self.packed.fast_path_info(index).name, group.first_line(index))
            for index in range(len(group))
            if not self.packed.was_refused(index)
        }
        names = {*functions.values()}
        self.codes = [Code(self, index, each, owner_of(each, names)) for index, each in functions.items()]


class Functions:
    """The functions of the groups that *groups* returns when it is called, as far as *selects* selects them.

    *selects* gets the name and the file of a module. *scope_in_words* names the scope in messages, and *reasons*
    returns why files are not fully measured.
    """

    def __init__(
        self,
        groups: Callable[[], Iterable[CodeGroup]],
        selects: Callable[[str | None, str], bool],
        scope_in_words: str,
        reasons: Callable[[], dict[str, str]],
    ) -> None:
        self._groups = groups
        self._selects = selects
        self._scope_in_words = scope_in_words
        self._reasons = reasons
        #: By number.
        self._known: dict[int, KnownGroup] = {}

    def _selected(self) -> Iterator[CodeGroup]:
        for group in self._groups():
            is_of_file = group.file is not None and not group.file_name.startswith("<")
            if is_of_file and self._selects(group.module, str(group.file)):
                yield group

    def known(self, group: CodeGroup) -> KnownGroup:
        """Return *group* with its names."""
        known = self._known.get(group.number)
        if known is None or known.group is not group:
            known = self._known[group.number] = KnownGroup(group)
        return known

    def codes(self) -> Iterator[Code]:
        """Yield all code objects of the scope."""
        for group in self._selected():
            yield from self.known(group).codes

    def find(self, name: str) -> list[Code]:
        """Return the code objects of the function, the module or the package *name*.

        Comprehensions are parts of their function. Raise InstrumentError if nothing has this name.
        """
        places = [(groups, rest) for groups, rest in self._places(name) if groups]
        for groups, rest in places:
            codes = [code for group in groups for code in self.known(group).codes]
            found = [code for code in codes if not rest or _is(code.owner[0], rest)]
            if found:
                return found
        raise InstrumentError(self._unknown(name, [group for groups, _ in places for group in groups]))

    def module(self, name: str) -> list[Code]:
        """Return the code objects of the module *name*, a dotted name or a path. Raise InstrumentError if none has it.

        Modules in a package are left out.
        """
        if name.endswith(".py") or os.sep in name:
            groups = self._of_path(name)
        else:
            groups = [group for group in self._selected() if group.module == name]
        if not groups:
            raise InstrumentError(self._unknown(name, []))
        return [code for group in groups for code in self.known(group).codes]

    def _places(self, name: str) -> Iterator[tuple[list[CodeGroup], str]]:
        """Yield the groups of modules that *name* may mean, and the rest of the name, the longest module first."""
        file, colon, rest = name.rpartition(":")
        if colon:
            yield self._of_path(file), rest
            return
        if name.endswith(".py"):
            yield self._of_path(name), ""
            return
        groups = [*self._selected()]
        parts = name.split(".")
        for n in range(len(parts), 0, -1):
            module, rest = ".".join(parts[:n]), ".".join(parts[n:])
            inner = () if rest else f"{module}."  # a package has the code of its modules, too
            yield [each for each in groups if each.module == module or (each.module or "").startswith(inner)], rest

    def _of_path(self, path: str) -> list[CodeGroup]:
        """Return the groups of the source file *path*, which may be a part of a path from a folder on."""
        whole, end = os.path.abspath(path), f"{os.sep}{os.path.normpath(path)}"
        sources = [(group, absolute(group.file_name)) for group in self._selected()]
        return [group for group, source in sources if source == whole or source.endswith(end)]

    def _unknown(self, name: str, groups: list[CodeGroup]) -> str:
        """Return the message that no function is called *name*; *groups* are those of modules that it may mean."""
        text = f"no counted function or module is called {name!r}"
        near_groups = groups or [*self._selected()]
        modules = {_module_of(group) for group in near_groups}
        names = {
            f"{_module_of(group)}{':' if group.module is None else '.'}{code.owner[0]}"
            for group in near_groups
            for code in self.known(group).codes
        }
        near = get_close_matches(name, {*names, *modules}, n=3)
        files = {group.file for group in groups if group.file}
        reasons = [f"{file}: {reason}" for file, reason in self._reasons().items() if file in files]
        if reasons:
            return f"{text}; some code is not counted: {'; '.join(reasons)}"
        if near:
            return f"{text}; did you mean {' or '.join(map(repr, near))}?"
        if groups:
            return f"{text}; {', '.join(sorted(modules))} has {', '.join(sorted(names)[:5]) or 'no function'}"
        return f"{text}: the scope is {self._scope_in_words}, and the module must have been imported"


def _module_of(group: CodeGroup) -> str:
    """Return the name of the module of *group* for users; that of its file if it has none, as executed text may."""
    return os.path.basename(group.file_name) if group.module is None else group.module


def _is(qualified_name: str, text: str) -> bool:
    """Return whether *text* names the function *qualified_name*, with or without `<locals>`."""
    return text in (qualified_name, qualified_name.replace(".<locals>", ""))
