"""Sessions: each makes code live with one placement, and holds all live code of that placement in this process.

Code objects come in, their twins go out. An original has one twin for each module file that it runs in, however many
measurements need it. Nothing is ever counted twice: measurements are differences of counters (`session.window`,
`record.reading`).

A session has three parts. `Registry` has the live code. `UnlinkedCode` rewrites code, or takes it from the cache.
`Retirement` forgets code that the program has dropped.
"""

from __future__ import annotations

import sys
from itertools import accumulate

from instrument.decode.versions import SUPPORTED
from instrument.flow import placement_names
from instrument.guest.messages import warn_of
from instrument.guest.own_builtins import note_modules
from instrument.guest.own_imports import hide_functions
from instrument.guest.process_state import ProcessState
from instrument.hooks import exec_calls
from instrument.link.code_group import CodeGroup, first_key_of, index_of_group
from instrument.link.counters import on_pickled
from instrument.link.fast_linking import load_live_code
from instrument.link.linker import link, traceback_of
from instrument.link.unlinked_values import RefusedCode, nested_code
from instrument.session.garbage_collector import GcDeferred
from instrument.session.originals import note_pickled, original_at
from instrument.session.registry import Registry, is_live, live_place
from instrument.session.retirement import Retirement
from instrument.session.unlinked_code import UnlinkedCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType, FunctionType
    from typing import Protocol
    from weakref import ref

    from instrument.link.cache import Batch, CachedModule
    from instrument.link.module_import import ModuleImport, Origin
    from instrument.link.unlinked_values import UnlinkedTree, UnlinkedValues

    class ProbeCallbacks(Protocol):
        """Makes the callables that probes and exit stubs call, with the placements EVENTS and CALLS."""

        def of_codes(
            self, unlinked_codes: Sequence[UnlinkedValues | RefusedCode]
        ) -> tuple[Sequence[object], Sequence[object]]:
            """Return the callables for all probes, and those for all exits, of *unlinked_codes*."""


class Session(Registry):
    """Makes code live with one *placement*, and holds all code that is live with it; see `session`.

    With the placements EVENTS and CALLS the probes do not count: they call *callbacks*.
    """

    def __init__(self, placement: str, callbacks: ProbeCallbacks | None = None) -> None:
        super().__init__(placement)
        self.unlinked_code = UnlinkedCode(placement, self.not_measured)
        self.retirement = Retirement(self)
        self.callbacks = callbacks
        #: Whether the live code is needed until the process ends.
        self.is_permanent = False
        #: With the placement NOTHING: existing functions, their originals, and the twins that they run now.
        self.exchanged_functions: list[tuple[ref[FunctionType], CodeType, CodeType]] = []
        self._loaded_files: set[str] = set()
        self._refused: dict[int, CodeType] = {}  # by identity

    def instrument_exec_code(self, code: CodeType, file: str | None) -> CodeType:
        """Return the twin of *code*, exec'd code that runs in a module with this `__file__`.

        Return *code* itself if it is live there already, or cannot be rewritten. The same code object gets the same
        twin as before, unless that was retired.
        """
        original = self._original_to_instrument(code, file)
        if original is None:
            return code
        recent = self.retirement.recent
        group = recent.pop((id(original), file), None)
        if group is None:
            tree = nested_code(original)
            unlinked = self.unlinked_code.of_exec_code(tree, file)
            group, codes = self._link([unlinked], file, original.co_filename, tree, is_permanent=False)
            if codes[-1] is original:
                return original
            self.retirement.track(group, codes)
            self.retirement.make_room_for(group)
        recent[id(original), file] = group
        assert group.codes is not None
        return group.codes[-1]

    def instrument_existing_code(
        self, codes: list[CodeType], file: str | None, batch: Batch, aliases: frozenset[str] = frozenset()
    ) -> list[CodeType]:
        """Return the twins of *codes*, code of existing functions, all from one source file.

        In place of a twin, return the code itself if it is live already, or cannot be rewritten. *batch* and *aliases*
        are those of `UnlinkedCode.of_existing_code`.
        """
        twins = list(codes)
        unlinked_trees: list[UnlinkedTree] = []
        originals: list[CodeType] = []
        index_among_originals: dict[int, int] = {}  # by the index among *codes*
        for index, code in enumerate(codes):
            original = self._original_to_instrument(code, file)
            if original is not None:
                tree = nested_code(original)
                unlinked_trees.append(self.unlinked_code.of_existing_code(tree, batch, aliases))
                originals += tree
                index_among_originals[index] = len(originals) - 1
        if originals:
            _, live_codes = self._link(unlinked_trees, file, originals[-1].co_filename, originals)
            for index, number in index_among_originals.items():
                twins[index] = live_codes[number]
        return twins

    def instrument_module(self, code: CodeType, file: str | None, module_import: ModuleImport) -> CodeType:
        """Return the twin of *code*, the code of the module of *module_import*.

        Return *code* itself if it is live already, or cannot be rewritten.
        """
        original = self._original_to_instrument(code, file)
        if original is None:
            return code
        tree = nested_code(original)
        # Without counts, the originals are needed to restore the functions at the end.
        originals = None if self.placement in placement_names.PLACEMENTS else tree
        if module_import.bytecode is not None:
            module = self.unlinked_code.cached_module(module_import)
            if module is not None:
                return self._load(module, file, module_import.origin, originals)[1]
        module = self.unlinked_code.module_by_content(tree, module_import)
        if module is not None:
            return self._load(module, file, module_import.origin, originals)[1]
        unlinked = self.unlinked_code.of_module(tree, module_import)
        is_permanent = self.callbacks is not None or self._is_first_load(original.co_filename)
        group, codes = self._link([unlinked], file, original.co_filename, originals, module_import.origin, is_permanent)
        twin = codes[-1]  # held, or `queue` could retire the group at once
        if not is_permanent:
            self.retirement.track(group, codes)
            self.retirement.queue(group)
        return twin

    def instrument_cached_module(self, module_import: ModuleImport, file: str) -> CodeType | None:
        """Return the twin for the bytecode of *module_import*; None if the cache does not have it."""
        module = self.unlinked_code.cached_module(module_import) if SUPPORTED or self._is_unknown_python() else None
        if module is None:
            return None
        module_import.group, twin = self._load(module, file, module_import.origin)
        return twin

    def _is_unknown_python(self) -> bool:
        """Return whether this release cannot rewrite code for this Python; if so, warn once."""
        if not SUPPORTED:
            self._refuse_all()
        return not SUPPORTED

    def _refuse_all(self) -> None:
        if not self.not_measured:
            version = ".".join(map(str, sys.version_info[:2]))
            self.not_measured["<all>"] = f"this release does not know Python {version}"
            warn_of(f"nothing is measured: this release does not know Python {version}")

    def _original_to_instrument(self, code: CodeType, file: str | None) -> CodeType | None:
        """Return the original of *code*, which runs in a module with this `__file__`, if it is to be made live.

        Return None if *code* is live already, or cannot be rewritten. Counting code belongs to one module;
        event-calling code learns its module from the frame.
        """
        if self._is_unknown_python():
            return None
        place = live_place(code)
        if place is not None:
            if (
                place.registry is self
                and not place.is_copy
                and (self.callbacks is not None or place.group.file == file)
                and place.group.is_as_linked(code, place.key)
            ):
                return None
            code = original_at(place, code)
        if is_live(code):  # its original can no longer be had
            return None
        return None if id(code) in self._refused else code

    def _link(
        self,
        unlinked_trees: list[UnlinkedTree],
        file: str | None,
        file_name: str,
        originals: list[CodeType] | None,
        origin: Origin | None = None,
        is_permanent: bool = True,
    ) -> tuple[CodeGroup, list[CodeType]]:
        """Link *unlinked_trees*; return their code group, and their live code in the order of the trees.

        *file* is the `__file__` of the module that the code runs in, *file_name* its source file.
        """
        unlinked_codes = unlinked_trees[0][0]
        sizes: list[int] = []
        if len(unlinked_trees) > 1:
            sizes = [len(unlinked) for unlinked, _ in unlinked_trees]
            starts = accumulate(sizes, initial=0)
            unlinked_codes = [
                unlinked for (tree, _), start in zip(unlinked_trees, starts) for unlinked in _renumbered(tree, start)
            ]
        for unlinked in unlinked_codes:
            if isinstance(unlinked, RefusedCode):
                code = unlinked.code
                self._refused[id(code)] = code
                self.refuse(code.co_filename, code.co_qualname, unlinked.reason)
        index = index_of_group(unlinked_codes, file_name)
        group = CodeGroup(self.next_number(), file, index, *[packed for _, packed in unlinked_trees], sizes=sizes)
        group.originals = originals
        group.origin = origin
        if self.callbacks is not None:
            on_probes, on_exits = self.callbacks.of_codes(unlinked_codes)
            codes = link(unlinked_codes, group, on_probes, on_exits, exec_calls.exchange_code, self.records)
        elif not is_permanent:
            group.counters = self.make_counters(group.starts[-1])
            codes = link(unlinked_codes, group, group.counters, None, exec_calls.exchange_code, self.records)
        else:
            with GcDeferred(group.starts[-1]):
                counters = self.make_counters(group.starts[-1])
                self.add_counters(group, counters)
                codes = link(unlinked_codes, group, counters, None, exec_calls.exchange_code, self.records)
        self.add(group)
        return group, codes

    def _load(
        self, module: CachedModule, file: str | None, origin: Origin, originals: list[CodeType] | None = None
    ) -> tuple[CodeGroup, CodeType]:
        """Return the group of the code of the cached *module*, and its twin, linked to new counters."""
        pickled, index, packed = module
        group = CodeGroup(self.next_number(), file, index, packed)
        group.originals = originals
        group.origin = origin
        n_counters = group.starts[-1]
        first_key = first_key_of(group.number)
        shared = group.file_name, traceback_of, exec_calls.exchange_code, self.records
        if self._is_first_load(group.file_name):
            with GcDeferred(n_counters):
                counters = self.make_counters(n_counters)
                self.add_counters(group, counters)
                twin = load_live_code(pickled, counters, first_key, *shared)
            self.add(group)
            return group, twin
        group.counters = self.make_counters(n_counters)
        twin = load_live_code(pickled, group.counters, first_key, *shared)
        self.add(group)
        self.retirement.track(group, nested_code(twin))
        self.retirement.queue(group)
        return group, twin

    def _is_first_load(self, path: str) -> bool:
        """Return whether no module was loaded from *path* before. If one was, this one will likely be dropped, too."""
        if path in self._loaded_files:
            return False
        self._loaded_files.add(path)
        return True


def _renumbered(
    unlinked_codes: Sequence[UnlinkedValues | RefusedCode], n_before: int
) -> Iterator[UnlinkedValues | RefusedCode]:
    """Yield *unlinked_codes* with the numbers that nested code has if *n_before* code objects come before."""
    for unlinked in unlinked_codes:
        yield unlinked if isinstance(unlinked, RefusedCode) else unlinked.renumbered(n_before)


class _Sessions(ProcessState):
    """The sessions of this process, `by_placement`."""

    __slots__ = ("by_placement",)
    by_placement: dict[str, Session]

    def reset(self) -> None:
        """Forget all sessions."""
        self.by_placement = {}

    def after_fork_in_child(self) -> None:
        """Reset locks: no other thread survives in the child."""
        for each in self.by_placement.values():
            each.retirement.forked()


_sessions = _Sessions()


def session(placement: str, make_callbacks: Callable[[], ProbeCallbacks] | None = None) -> Session:
    """Return this process's session with *placement*.

    For the placements EVENTS and CALLS, *make_callbacks* returns the callbacks of a new session.
    """
    by_placement = _sessions.by_placement
    if placement not in by_placement:
        by_placement[placement] = Session(placement, make_callbacks and make_callbacks())
    return by_placement[placement]


def sessions() -> list[Session]:
    """Return all sessions of this process."""
    return list(_sessions.by_placement.values())


on_pickled.append(
    lambda counter: note_pickled(counter, [each for each in sessions() if each.placement in placement_names.PLACEMENTS])
)
note_modules()  # this package has loaded more of them
hide_functions()
