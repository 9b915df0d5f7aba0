"""Take unlinked code apart into plain values, which can be stored, shared and linked.

Code objects and their Unlinked come in from the rewriter; `UnlinkedValues` go out. `marshal`
stores them by their `as_tuple`.
"""

from __future__ import annotations

from _operator import attrgetter
from types import CodeType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from instrument.link.recovery_info import PackedParts
    from instrument.rewrite.unlinked import Unlinked

    #: A code object with all code that is nested in it, in the order of `nested_code`, and the infos for recovery.
    UnlinkedTree = tuple[list["UnlinkedValues | RefusedCode"], PackedParts]

_first_arguments = attrgetter(
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize", "co_flags", "co_code")
)
_last_arguments = attrgetter(
    *("co_name", "co_qualname", "co_firstlineno", "co_linetable", "co_exceptiontable", "co_freevars", "co_cellvars")
)
#: The index of the first line among `UnlinkedValues.last_arguments`.
_FIRST_LINE = 2


class UnlinkedValues:
    """One unlinked code object: the arguments of CodeType, and the numbers of constants that linking appends.

    - `first_arguments`: the arguments of CodeType before the constants: six numbers, and the bytecode.
    - `constants`: those of the original. None stands for nested code.
    - `names`, `variables`: `co_names` and `co_varnames`.
    - `file_name`: None if it is that of the outermost code object.
    - `last_arguments`: the arguments of CodeType behind the file name. These are name, qualified name, first line, line
      table, exception table, names of free variables, names of cell variables.
    - `nested`: a pair (index among `constants`, index among the code objects of the tree) for each nested code object.
    - `n_probes`, `n_exits`: how many counters and how many exit records it needs.
    - `size`: the size of the bytecode, in bytes.
    - `inlinable`: for each inlinable call of the Plan, the name of the method that is called, or None.
    """

    __slots__ = (
        *(
            "constants",
            "file_name",
            "first_arguments",
            "inlinable",
            "n_exits",
            "n_probes",
            "names",
            "nested",
            "size",
            "last_arguments",
        ),
        "variables",
    )

    def __init__(
        self,
        first_arguments: tuple[Any, ...],
        constants: tuple[Any, ...],
        names: tuple[str, ...],
        variables: tuple[str, ...],
        file_name: str | None,
        last_arguments: tuple[Any, ...],
        nested: tuple[tuple[int, int], ...],
        n_probes: int,
        n_exits: int,
        size: int,
        inlinable: tuple[str | None, ...],
    ) -> None:
        self.first_arguments = first_arguments
        self.constants = constants
        self.names = names
        self.variables = variables
        self.file_name = file_name
        self.last_arguments = last_arguments
        self.nested = nested
        self.n_probes = n_probes
        self.n_exits = n_exits
        self.size = size
        self.inlinable = inlinable

    def as_tuple(self) -> tuple[Any, ...]:
        """Return the arguments that make equal UnlinkedValues."""
        return (
            *(
                self.first_arguments,
                self.constants,
                self.names,
                self.variables,
                self.file_name,
                self.last_arguments,
                self.nested,
            ),
            *(self.n_probes, self.n_exits, self.size, self.inlinable),
        )

    def first_line(self) -> int:
        """Return the first line."""
        line: int = self.last_arguments[_FIRST_LINE]
        return line

    def n_key_positions(self) -> int:
        """Return how many positions of its group's keys it takes: one for each byte and exit record.

        Without exit records it takes as many as with one, so that each code object has a first key of its own.
        """
        return (self.n_exits or 1) * self.size

    def renumbered(self, n_before: int) -> UnlinkedValues:
        """Return these values for a list of code objects in which *n_before* others come before those of the tree."""
        if not self.nested:
            return self
        values = UnlinkedValues(*self.as_tuple())
        values.nested = tuple((place, number + n_before) for place, number in self.nested)
        return values


class RefusedCode:
    """A code object that could not be rewritten, and the *reason*. It is linked as it is."""

    __slots__ = ("code", "reason")

    def __init__(self, code: CodeType, reason: str) -> None:
        self.code = code
        self.reason = reason


def nested_code(code: CodeType) -> list[CodeType]:
    """Return *code* and all code nested in it, each behind the code nested in it, in the order of the constants."""
    ordered: dict[int, CodeType] = {}
    stack = [(code, iter(code.co_consts))]
    while stack:
        outer, constants = stack[-1]
        for inner in constants:
            if type(inner) is CodeType and id(inner) not in ordered:
                stack.append((inner, iter(inner.co_consts)))
                break
        else:
            ordered[id(outer)] = outer
            stack.pop()
    return list(ordered.values())


def take_apart(tree: Sequence[tuple[CodeType, Unlinked | str]]) -> UnlinkedTree:
    """Return the values of *tree*: originals, each with its Unlinked, or with the reason why there is none.

    The originals are in the order of `nested_code`. The file name of the outermost one is left out, so that the same
    text in another file has the same values.
    """
    file_name = tree[-1][0].co_filename
    index_of = {id(code): index for index, (code, _) in enumerate(tree)}
    unlinked_codes: list[UnlinkedValues | RefusedCode] = []
    for code, unlinked in tree:
        if isinstance(unlinked, str):
            unlinked_codes.append(RefusedCode(code, unlinked))
            continue
        new = unlinked.code
        first_arguments = _first_arguments(new)
        constants, nested = _without_nested_code(code.co_consts, index_of)
        unlinked_codes.append(
            UnlinkedValues(
                first_arguments,
                constants,
                new.co_names,
                new.co_varnames,
                None if code.co_filename == file_name else code.co_filename,
                _last_arguments(new),
                nested,
                unlinked.n_probes,
                unlinked.n_exits,
                len(first_arguments[-1]),
                unlinked.inlinable,
            )
        )
    from instrument.link.recovery_info import packed_parts

    return unlinked_codes, packed_parts(tree)


def _without_nested_code(
    constants: tuple[object, ...], index_of: Mapping[int, int]
) -> tuple[tuple[object, ...], tuple[tuple[int, int], ...]]:
    """Return *constants* with None for nested code, and `UnlinkedValues.nested`, by the index of each code object."""
    types = [*map(type, constants)]
    if CodeType not in types:
        return constants, ()
    values = [*constants]
    nested = []
    for place in [place for place, kind in enumerate(types) if kind is CodeType]:
        index = index_of.get(id(values[place]))
        if index is not None:
            nested.append((place, index))
            values[place] = None
    return tuple(values), tuple(nested)
