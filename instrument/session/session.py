"""One measurement after another: what was made live in this process, and what was counted since.

Code objects come in, live ones go out, each made once however many measurements want it. Counters only ever grow, so a
measurement is a difference between two snapshots (`Window`): nested and concurrent measurements each get their own
truth.

A snapshot holds what all counters say, what exits were recorded, and which frames are in flight, as of one moment.
"""

from __future__ import annotations

# What is called while the program runs is held by name: the program may put something else in its place.
import sys
from _functools import partial  # type: ignore[import-not-found]
from _operator import call, eq, is_
from _thread import get_ident
from _warnings import warn
from _weakref import ref
from gc import disable, enable, freeze, get_freeze_count, get_objects, isenabled, unfreeze
from itertools import chain, compress, count, repeat
from sys import _getframe, getrefcount, getswitchinterval, setswitchinterval
from types import CodeType, FunctionType

from instrument.decode.exec_calls import executor_aliases_in, may_execute_code, uses_any_name
from instrument.errors import InstrumentError, InstrumentWarning
from instrument.flow import placement
from instrument.guest import isolation
from instrument.guest.gate import Gate
from instrument.guest.interpreters import is_single_threaded, newest_frames
from instrument.guest.messages import belongs_to_program, comes_from_program, say_once, text_of
from instrument.guest.own_builtins import note_modules
from instrument.guest.process_state import ProcessState
from instrument.hooks import imports
from instrument.link.cache import FROM_EXEC, Batch, Cache, open_cache
from instrument.link.counters import (
    FULL,
    CodeGroup,
    ExitRecords,
    appended_constants,
    exit_counts,
    first_key_of,
    group_of,
    index_of_group,
    is_refused,
    link,
    make_counters,
    nested_code,
    on_pickled,
    read_counters,
    traceback_of,
    unlinked_values,
)
from instrument.link.exec_free import ExecFreeModules
from instrument.link.fast_linking import load_live_code
from instrument.model.counts import Counts
from instrument.rewrite import probes, rewriter
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType
    from typing import Any, Protocol, TypeAlias

    from instrument.link.cache import CachedCode, Module
    from instrument.link.counters import RecoveryInfo, UnlinkedValues
    from instrument.link.module_import import ModuleImport, Origin
    from instrument.rewrite.rewriter import Unlinked

    GivenOut: TypeAlias = tuple[tuple[str, str], str, int, str, str | None, str | None]

    class Reader(Protocol):
        """What reads counters, and is told before some of them go."""

        def bank_counts(self, groups: list[CodeGroup]) -> None: ...

    class EventListener(Protocol):
        """What is called when code runs that was rewritten to call, not to count."""

        def on_probe(self, code: RecoveryInfo, probe: int, frame: FrameType) -> None: ...
        def on_raise(self, code: RecoveryInfo, record: int, exception: BaseException, frame: FrameType) -> None: ...


class Session:
    """All code of this process that was made live with one *placement*; see `session`.

    With the placements EVENTS and CALLS the probes do not count: they call the `listeners`.
    """

    def __init__(self, where: str) -> None:
        self.placement = where
        self.listeners: list[EventListener] = []
        self._listening: set[int] = set()  # threads in a listener: what that runs itself is no event
        self.groups: dict[int, CodeGroup] = {}
        self._numbers = count(1)
        self._groups_by_name: dict[str, dict[int, CodeGroup]] = {}  # by the bare name of their module
        self.counters: list[repeat[None]] = []
        self.records = ExitRecords(self)
        #: Code that was handed over, or is that of a module that was loaded before, which may go on for ever: it has
        #: counters of its own, and is retired some time after the program has let go of it.
        self.short_lived: dict[int, CodeGroup] = {}
        #: By identity of the original, and the module's `__file__`; that used last at the end.
        self._recent: dict[tuple[int, str | None], CodeGroup] = {}
        self._size_of_recent = 0
        self._retirement_queue: list[CodeGroup] = []
        self._size_of_retirement_queue = 0
        self._longest_retirement_queue = _EXEC_CODE_KEPT // 8
        self._loaded: set[str] = set()
        self.windows: list[Reader] = []
        #: Held while code is retired, and for a moment when a reading begins: no other thread begins one meanwhile.
        self._gate = Gate()
        self._n_readers = 0
        self._retiring = 0  # by which thread
        #: What is being retired, by number; if that was broken off, by an exception of a handler, it is gone on with.
        self.retiring: dict[int, CodeGroup] = {}
        #: Whether somebody calls `retire` now and then, so that the program need not be held up for it.
        self.has_background_thread = False
        #: Whether the code that was made live is needed until the process ends.
        self.is_permanent = False
        #: Why files are not measured, by file name.
        self.not_measured: dict[str, str] = {}
        self._refused: dict[int, CodeType] = {}
        self._cache: Cache | None = None
        self._given: Batch | None = None
        self._exec_calls_of: ExecFreeModules | None = None
        #: With the placement NOTHING, functions that were there before, their code, and what it was exchanged for.
        self.exchanged_functions: list[tuple[ref[FunctionType], CodeType, CodeType]] = []

    # Making code live
    # ##################################################################################################

    def instrument_exec_code(self, code: CodeType, file: str | None) -> CodeType:
        """Return the twin of *code*, which was handed over, that counts; *code* itself if it cannot be rewritten.

        *file* is the `__file__` of the module that it runs in. Code that is handed over there again gets the same twin.
        """
        plain = self._original_to_instrument(code, file)
        if plain is None:
            return code
        group = self._recent.pop((id(plain), file), None)
        if group is None:
            tree = nested_code(plain)
            if self._given is None:
                self._given = Batch(self.cache())
            unlinked_codes, packed = self._cached_or_rewritten(tree, self._given, f"{FROM_EXEC}{file}")
            group, codes = self._link(unlinked_codes, [packed], (file, plain.co_filename), tree, is_permanent=False)
            if codes[-1] is plain:
                return plain
            self._track_short_lived(group, codes)
            self._make_room(_size_of(group))
        self._recent[id(plain), file] = group
        assert group.codes is not None
        return group.codes[-1]

    def instrument_existing_code(
        self, codes: list[CodeType], file: str | None, batch: Batch, aliases: frozenset[str] = frozenset()
    ) -> list[CodeType]:
        """Return the twins of *codes*, which are of one source, that count; those that cannot be rewritten themselves.

        *aliases* are names that the module has for `exec` and `eval`. Code that uses none of them is kept in the cache,
        by way of *batch*: it is here to last, and other processes are likely to meet it.
        """
        twins = list(codes)
        unlinked_codes: list[UnlinkedValues] = []
        parts: list[tuple[bytes, bytes]] = []
        sizes: list[int] = []
        originals: list[CodeType] = []
        places: list[tuple[int, int]] = []  # of each that is linked, among the codes and among the originals
        for place, code in enumerate(codes):
            plain = self._original_to_instrument(code, file)
            if plain is not None:
                tree = nested_code(plain)
                if aliases and uses_any_name(plain, aliases):
                    known, packed = self._rewrite(tree, aliases)
                else:
                    known, packed = self._cached_or_rewritten(tree, batch, plain.co_filename)
                unlinked_codes += _renumbered(known, len(unlinked_codes))
                parts.append(packed)
                sizes.append(len(known))
                originals += tree
                places.append((place, len(originals) - 1))
        if places:
            _, made = self._link(unlinked_codes, parts, (file, originals[-1].co_filename), originals, sizes=sizes)
            for place, number in places:
                twins[place] = made[number]
        return twins

    def instrument_module(self, code: CodeType, file: str | None, module_import: ModuleImport) -> CodeType:
        """Return the twin of *code*, that of the module that is *module_import*."""
        plain = self._original_to_instrument(code, file)
        if plain is None:
            return code
        tree = nested_code(plain)
        originals = None if self.placement in placement.PLACEMENTS else tree  # functions are to get them back
        if module_import.bytecode is not None:
            known = self.cached_module(module_import)
            if known is not None:
                return self._load_cached(known, file, module_import.origin, originals)
        unlinked_codes, packed = self._rewritten_module(tree, module_import)
        is_permanent = self.placement in placement.CALLING or self._is_first(tree[-1].co_filename)
        group, codes = self._link(
            unlinked_codes, [packed], (file, plain.co_filename), originals, module_import.origin, is_permanent
        )
        made = codes[-1]  # which is in use
        if not is_permanent:
            self._track_short_lived(group, codes)
            self._queue_retirement(group)
        return made

    def cache_module(self, code: CodeType, module_import: ModuleImport) -> tuple[bool, str]:
        """Keep in the cache what *code*, that of the module that is *module_import*, is rewritten to: just what
        `instrument_module`
        looks for in the process that imports it. Return whether the cache has it, and why parts cannot be rewritten.
        """
        if not probes.SUPPORTED:
            return False, "this release does not know this Python"
        tree = nested_code(code)
        for unlinked in filter(is_refused, self._rewritten_module(tree, module_import)[0]):
            return False, f"{unlinked[0].co_qualname}: {unlinked[1]}"
        if module_import.bytecode is None:
            return Batch(self.cache()).get(tree) is not None, ""
        return self.cached_module(module_import) is not None, ""

    def _rewritten_module(self, tree: list[CodeType], module_import: ModuleImport) -> CachedCode:
        batch = Batch(self.cache())
        whole = self.placement not in placement.CALLING and module_import.bytecode is not None
        known = batch.get(tree)
        if known is None:
            known = self._rewrite(tree)
            if not whole:
                batch.put(tree, known)
                batch.flush()
        if whole:
            assert module_import.bytecode is not None
            file_name = tree[-1].co_filename
            self.cache().cache_module(module_import.path, module_import.bytecode, module_import.stamp, known, file_name)
        return known

    def cached_module_code(self, module_import: ModuleImport, file: str) -> CodeType | None:
        """Return what counts in place of the bytecode that is *module_import*, if the cache has it."""
        known = None if self._is_unknown_python() else self.cached_module(module_import)
        return None if known is None else self._load_cached(known, file, module_import.origin)

    def cached_module(self, module_import: ModuleImport) -> Module | None:
        """Return what the bytecode that is *module_import* was rewritten to, if the cache has it: known by what it is
        if it
        was read, else by its file.
        """
        if self.placement in placement.CALLING:
            return None
        if module_import.bytecode is None and module_import.stamp is None:
            module_import.predict_bytecode()
            if module_import.stamp is None:
                return None
        return self.cache().module(module_import.path, module_import.bytecode, module_import.stamp)

    def _cached_or_rewritten(self, tree: list[CodeType], batch: Batch, shelf: str) -> CachedCode:
        known = batch.get(tree, shelf)
        if known is None:
            known = self._rewrite(tree)
            batch.put(tree, known, shelf)
        return known

    def handovers(self) -> ExecFreeModules:
        """Return what is known of modules that hand code over."""
        if self._exec_calls_of is None:
            self._exec_calls_of = ExecFreeModules(self.cache())
        return self._exec_calls_of

    def save_cache(self) -> None:
        """Write to the cache what was rewritten of code that was handed over, and found out about what is not."""
        if self._given is not None:
            self._given.flush()
            self._given = None
        if self._exec_calls_of is not None:
            self._exec_calls_of.save_cache()

    def cache(self) -> Cache:
        """Return the cache for this placement."""
        if self._cache is None:
            self._cache = open_cache(self.placement)
        return self._cache

    def _is_unknown_python(self) -> bool:
        """Return whether this interpreter is none that we know how to rewrite code for; say so once."""
        if not probes.SUPPORTED:
            self._refuse_all()
        return not probes.SUPPORTED

    def _refuse_all(self) -> None:
        if not self.not_measured:
            version = ".".join(map(str, sys.version_info[:2]))
            self.not_measured["<all>"] = f"this release does not know Python {version}"
            _warn(f"nothing is measured: this release does not know Python {version}")

    def _original_to_instrument(self, code: CodeType, file: str | None) -> CodeType | None:
        """Return *code*, which runs in a module of *file*, as it was before any session; None if it is to stay as it
        is. What counts does so for one module; what calls is told by frames where it runs.
        """
        if self._is_unknown_python():
            return None
        tail = appended_constants(code)
        if tail is not None:
            group = self.groups.get(group_of(tail[1])) if tail[0] is self.records else None
            calls = self.placement in placement.CALLING
            if group is not None and (calls or group.file == file) and group.is_as_linked(code, tail[1]):
                return None
            code = original_of(code)
            if appended_constants(code) is not None:
                return None
        return None if id(code) in self._refused else code

    def _rewrite(self, tree: list[CodeType], aliases: frozenset[str] = frozenset()) -> CachedCode:
        """Return the code of *tree*, rewritten and ready to be linked; *aliases* as in `instrument_existing_code`."""
        aliases |= executor_aliases_in(tree)
        made: list[tuple[CodeType, Unlinked | str]] = []
        for code in tree:
            try:
                flow = placement.graph_of(code, self.placement)
                made.append((code, rewriter.rewrite(flow, placement.plan(flow, self.placement, aliases))))
            except BaseException as error:
                if belongs_to_program(error):
                    raise
                if not isinstance(error, Exception) or comes_from_program(error):  # said once, not for each file
                    self.not_measured.setdefault(code.co_filename, f"{code.co_qualname}: {text_of(error)}")
                    say_once(f"not all is counted in this process: {text_of(error)}")
                made.append((code, str(error)))
        return unlinked_values(made)

    def _link(
        self,
        unlinked_codes: Sequence[UnlinkedValues],
        packed: Sequence[tuple[bytes, bytes]],
        files: tuple[str | None, str],
        originals: list[CodeType] | None,
        origin: Origin | None = None,
        is_permanent: bool = True,
        sizes: Sequence[int] = (),
    ) -> tuple[CodeGroup, list[CodeType]]:
        """Return the live code of *unlinked_codes*, innermost first, and the group that it is. *files*: of the module
        that it
        runs in, and of the source.
        """
        file, file_name = files
        for unlinked in unlinked_codes:
            if is_refused(unlinked):
                code, why = unlinked
                self._refused[id(code)] = code
                self.refuse(code.co_filename, code.co_qualname, why)
        group = CodeGroup(next(self._numbers), file, index_of_group(unlinked_codes, file_name), *packed, sizes=sizes)
        group.originals = originals
        group.origin = origin
        if self.placement in placement.CALLING:
            counted: list[object] = []
            recorded: list[object] = []
            for number, unlinked in enumerate(unlinked_codes):
                if not is_refused(unlinked):
                    counted += [_Event(self._on_probe, group, number, n) for n in range(unlinked[7])]
                    recorded += [_Event(self._on_raise, group, number, n) for n in range(unlinked[8])]
            codes = link(unlinked_codes, group, counted, recorded, imports.exchange_code, self.records)
        elif not is_permanent:
            group.counters = make_counters(group.starts[-1])
            codes = link(unlinked_codes, group, group.counters, None, imports.exchange_code, self.records)
        else:
            with GcDeferred(group.starts[-1]):
                counters = make_counters(group.starts[-1])
                self._add_counters(group, counters)
                codes = link(unlinked_codes, group, counters, None, imports.exchange_code, self.records)
        self._add(group)
        return group, codes

    def _load_cached(
        self, module: Module, file: str | None, origin: Origin, originals: list[CodeType] | None = None
    ) -> CodeType:
        """Return the live code of *module*, as the cache keeps it."""
        pickled, outline, packed = module
        group = CodeGroup(next(self._numbers), file, outline, packed)
        group.originals = originals
        group.origin = origin
        first_key = first_key_of(group.number)
        shared = traceback_of, imports.exchange_code, self.records
        if self._is_first(group.file_name):
            with GcDeferred(group.starts[-1]):
                counters = make_counters(group.starts[-1])
                self._add_counters(group, counters)
                code = load_live_code(pickled, counters, first_key, *shared)
            self._add(group)
            return code
        group.counters = make_counters(group.starts[-1])
        code = load_live_code(pickled, group.counters, first_key, *shared)
        self._add(group)
        self._track_short_lived(group, nested_code(code))
        self._queue_retirement(group)
        return code

    def _make_room(self, size: int) -> None:
        """Let go of what was handed over longest ago, for something of *size*: of as much, for some may be in use."""
        self._size_of_recent += size
        while size > 0 and self._size_of_recent > _EXEC_CODE_KEPT:
            # The key is found in one call in C: other threads must not change the dictionary in between.
            key = next(chain.from_iterable((self._recent,)), (0, None))
            oldest = self._recent.pop(key, None)
            if oldest is None:  # other threads were faster
                break
            size -= _size_of(oldest)
            self._size_of_recent -= _size_of(oldest)
            self._queue_retirement(oldest)

    def _is_first(self, path: str) -> bool:
        """Return whether no module was loaded from *path* before. That it was makes it likely that it will be again."""
        if path in self._loaded:
            return False
        self._loaded.add(path)
        return True

    def _track_short_lived(self, group: CodeGroup, codes: list[CodeType]) -> None:
        """Let *group*, whose code is *codes*, be one that is retired when the program has let go of it."""
        group.codes = codes
        self.short_lived[group.number] = group

    def _queue_retirement(self, group: CodeGroup) -> None:
        """Retire *group* when it is used no more, or is found to be so later, together with others."""
        self._retirement_queue.append(group)
        self._size_of_retirement_queue += _size_of(group)
        if not self.has_background_thread and self._size_of_retirement_queue >= self._longest_retirement_queue:
            self.retire()

    def _add_counters(self, group: CodeGroup, counters: list[repeat[None]]) -> None:
        if not counters:
            return
        self.counters.extend(counters)
        # Whatever ran in between may have made more: ours are where they are.
        place = len(self.counters) - 1
        while self.counters[place] is not counters[-1]:
            place -= 1
        group.first = place - len(counters) + 1

    def _add(self, group: CodeGroup) -> None:
        self.groups[group.number] = group
        if group.file:
            self._groups_by_name.setdefault(module_name(group.file), {})[group.number] = group

    def begin_reading(self) -> None:
        """Let no code be retired until `end_reading`."""
        gate = self._gate
        depth = gate.depth()
        try:
            gate.acquire()
            self._n_readers += 1
        finally:
            gate.release_to(depth)

    def end_reading(self) -> None:
        """Undo one `begin_reading`."""
        self._n_readers -= 1

    def forked(self) -> None:
        """Be told that this is a process of its own now: other threads, whatever they did, are not in it."""
        self._gate = Gate()
        self._n_readers = 0
        if not self.is_retiring():
            self._retiring = 0

    def retire(self) -> None:
        """Forget code that was let go of and is used no more, if there may be much; windows keep what it counted.

        Handlers of signals, and finalizers, may begin a reading in the middle of it, and may break it off.
        """
        gate = self._gate  # this one is released, even if what is done here ends in another process
        if self._size_of_retirement_queue < self._longest_retirement_queue:
            return
        depth = gate.depth()
        try:
            if not gate.acquire(blocking=False):
                return
            # Not in the middle of a reading, or of this: it may have been a finalizer, or a handler, that called.
            if not self._n_readers and not self.is_retiring():
                self._retiring = get_ident()
                try:
                    self._retire()
                finally:
                    self._retiring = 0
        finally:
            gate.release_to(depth)

    def is_retiring(self) -> bool:
        """Return whether this thread is in the middle of `retire`."""
        return self._retiring == get_ident()

    def _retire(self) -> None:
        if not self.retiring:
            waiting, self._retirement_queue = self._retirement_queue, []
            retiring: dict[int, CodeGroup] = {}
            for group in waiting:
                if _is_unused(group):
                    retiring[group.number] = group
                else:
                    self._retirement_queue.append(group)
            self.retiring = retiring
        retired = [group for group in self.retiring.values() if group.number in self.short_lived]
        for window in list(self.windows) if retired else ():
            window.bank_counts(retired)
        for group in retired:
            if group.file:
                self._groups_by_name[module_name(group.file)].pop(group.number, None)
            self.groups.pop(group.number, None)
            self.short_lived.pop(group.number, None)
        numbers = self.retiring.keys()
        for key in list(self.records):
            if group_of(key) in numbers:
                self.records.pop(key, None)
        self.retiring = {}
        # What is still in use may be executed again, or is looked at less often than it grows.
        waiting, self._retirement_queue = self._retirement_queue, []
        self._recent.update(((id(group.originals[-1]), group.file), group) for group in waiting if group.originals)
        self._retirement_queue.extend(group for group in waiting if not group.originals)
        self._size_of_recent = sum(map(_size_of, list(self._recent.values())))
        self._size_of_retirement_queue = sum(map(_size_of, list(self._retirement_queue)))
        self._longest_retirement_queue = max(_EXEC_CODE_KEPT // 8, 2 * self._size_of_retirement_queue)

    def refuse(self, file: str, name: str, why: object) -> None:
        first = file not in self.not_measured
        self.not_measured.setdefault(file, f"{name}: {why}")
        if first:
            _warn(f"{name} in {file} is not measured: {why}")

    @staticmethod
    def _seen_by_probe(group: CodeGroup, number: int) -> tuple[RecoveryInfo, FrameType] | None:
        """Return the code and the frame of what the caller of the caller called; nothing if a hook forbids to look."""
        try:
            return group.recovery_info(number), _getframe(2)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            say_once(f"not all is counted in this process: {text_of(error)}")
            return None

    def _on_probe(self, group: CodeGroup, number: int, probe: int) -> None:
        # Whatever comes next may run code of the program: `sys._getframe` its audit hooks, for one.
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            seen = self._seen_by_probe(group, number)
            if seen is not None:
                for listener in self.listeners:
                    listener.on_probe(seen[0], probe, seen[1])
        finally:
            self._listening.discard(thread)

    def _on_raise(self, group: CodeGroup, number: int, record: int, exception: BaseException) -> None:
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            seen = self._seen_by_probe(group, number)
            if seen is not None:
                for listener in self.listeners:
                    listener.on_raise(seen[0], record, exception, seen[1])
        finally:
            self._listening.discard(thread)

    def restore_existing_functions(self) -> None:
        """Give the functions that were adopted their originals back. What was imported since stays as it is, and costs
        next to nothing.
        """
        if self.is_permanent:
            return
        exchanged_functions, self.exchanged_functions = self.exchanged_functions, []
        for reference, code, twin in exchanged_functions:
            function = reference()
            if function is not None and function.__code__ is twin:
                function.__code__ = code

    def release_functions(self) -> None:
        """Give every function whose code was exchanged its original back."""
        for function in instances_of([FunctionType]):
            tail = appended_constants(function.__code__)
            if tail is not None and tail[0] is self.records:
                function.__code__ = original_of(function.__code__)

    def entered_since(self, window: Window, name: str) -> Iterator[str]:
        """Yield the files of modules called *name* of which code ran since *window* was opened."""
        groups = list(self._groups_by_name.get(name, {}).values())
        exits = exit_counts(self.records) if groups else {}
        raised = {group_of(key) for key, n in exits.items() if n != window.at_opening.exits.get(key, 0)}
        for group in groups:
            if group.file:
                left = read_counters(group.counters or self.counters[group.first : group.first + group.starts[-1]])
                has_counted = left != window.at_opening.left_of(group) and any(n != FULL for n in left)
                if has_counted or group.number in raised:
                    yield group.file

    # Reading
    # ###########################################################################################################

    def snapshot(self) -> Snapshot:
        """Return what all counters, exits and frames in flight say, as of one moment."""
        alone = is_single_threaded()
        with LongSwitchInterval():
            now = self._now()
            for _ in range(1000):
                before, in_flight = now, self.in_flight()
                if alone:
                    break
                now = self._now()
                if now == before:  # nobody passed a counter or took an exit while frames were looked at
                    break
        return Snapshot(*now, in_flight)

    def _now(self) -> tuple[list[int], dict[int, list[int]], dict[int, int]]:
        """Return what is left of all counters, of those of passing groups by number, and the exits."""
        short_lived = {number: read_counters(group.counters) for number, group in list(self.short_lived.items())}
        return read_counters(self.counters), short_lived, exit_counts(self.records)

    def in_flight(self) -> dict[tuple[int, int], int]:
        """Return how many frames of live code are where: by its first key, and code unit."""
        found: dict[tuple[int, int], int] = {}
        for top in _running_frames():
            frame: FrameType | None = top
            while frame is not None:
                tail = appended_constants(frame.f_code)
                if tail is not None and tail[0] is self.records and frame.f_lasti >= 0:
                    place = tail[1], frame.f_lasti >> 1
                    found[place] = found.get(place, 0) + 1
                frame = frame.f_back
        return found


def _warn(text: str) -> None:
    try:
        warn(text, InstrumentWarning, 2)
    except InstrumentWarning:  # by a filter that makes errors of warnings: of the program's, which goes on
        try:
            sys.__stderr__.write(f"{InstrumentWarning.__name__}: {text}\n")  # type: ignore[union-attr]
        except Exception:  # there is nowhere to say it
            pass


class _Event(partial):  # type: ignore[misc]
    """What a probe calls that does not count. Code may be pickled by value: what is unpickled is heard by nobody."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        return _Event, (_ignore_event,)


def _ignore_event(*what: object) -> None:
    """Do nothing, in place of an event."""


class Snapshot:
    """What was read at one moment: what is *left* of the counters of all lasting groups, in one, and of those of the
    *short_lived* ones by number; *exits* by key; frames *in_flight* by first key and code unit.
    """

    __slots__ = ("exits", "in_flight", "left", "short_lived")

    def __init__(
        self,
        left: list[int],
        short_lived: dict[int, list[int]],
        exits: dict[int, int],
        in_flight: dict[tuple[int, int], int],
    ) -> None:
        self.left = left
        self.short_lived = short_lived
        self.exits = exits
        self.in_flight = in_flight

    def left_of(self, group: CodeGroup) -> list[int]:
        """Return what is left of the counters of *group*; all, if it did not exist yet."""
        n = group.starts[-1]
        if group.counters:
            return self.short_lived.get(group.number) or [FULL] * n
        left = self.left[group.first : group.first + n]
        return left if len(left) == n else [FULL] * n

    def exclude_groups(self, numbers: Mapping[int, object], before: Snapshot) -> None:
        """Let the passing groups with *numbers* be as they were *before*."""
        for number in numbers:
            if number in before.short_lived:
                self.short_lived[number] = before.short_lived[number]
            else:
                self.short_lived.pop(number, None)
        for key in [key for key in self.exits.keys() | before.exits.keys() if group_of(key) in numbers]:
            if key in before.exits:
                self.exits[key] = before.exits[key]
            else:
                self.exits.pop(key, None)


class Window:
    """A measurement of *session*: what is counted from its opening on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._last = self.at_opening = session.snapshot()
        self._banked: dict[int, list[tuple[str | None, str, Counts]]] = {}  # by number
        session.windows.append(self)

    def close(self) -> None:
        """Count no more; what was counted can still be taken."""
        self.session.windows.remove(self)

    def take(self) -> Iterator[tuple[str | None, str, Counts]]:
        """Yield what was counted since the opening, or since `take` was called before, for each code object or file.

        With it come the `__file__` of the module and the name of the source file. In the middle of retiring, that is
        in a handler of a signal, what is retired is left for the next time.
        """
        session = self.session
        session.begin_reading()
        try:
            while True:
                before = self._last
                now = session.snapshot()
                left_out = session.retiring if session.is_retiring() else {}
                if left_out:
                    now.exclude_groups(left_out, before)
                if self._last is before:  # no other thread took meanwhile
                    self._last = now
                    break
            settled: dict[int, list[tuple[str | None, str, Counts]]] = {}
            if not left_out:
                settled, self._banked = self._banked, {}
            for counted in settled.values():
                yield from counted
            groups = list(session.groups.values())
            yield from self._seen(
                [group for group in groups if group.number not in settled and group.number not in left_out], before, now
            )
        finally:
            session.end_reading()

    def bank_counts(self, groups: list[CodeGroup]) -> None:
        """Note what *groups*, which are about to be forgotten and run no more, have counted."""
        exits: dict[int, dict[int, int]] = {group.number: {} for group in groups}
        for key, n in exit_counts(self.session.records).items():
            if group_of(key) in exits:
                exits[group_of(key)][key] = n
        for group in groups:
            # If this is broken off nothing was noted, and if it is done again the same is.
            now = Snapshot([], {group.number: read_counters(group.counters)}, exits[group.number], {})
            self._banked[group.number] = list(self._seen([group], self._last, now))
        if len(self._banked) - len(groups) > _N_KEPT:
            total: dict[tuple[str | None, str], Counts] = {}
            for number, counted in self._banked.items():
                for file, name, counts in counted if number not in exits else ():
                    total[file, name] = total.get((file, name), Counts()) + counts
            merged = [(*source, counts) for source, counts in total.items()]
            self._banked = {0: merged, **{group.number: self._banked[group.number] for group in groups}}

    def _seen(
        self, groups: list[CodeGroup], before: Snapshot, now: Snapshot
    ) -> Iterator[tuple[str | None, str, Counts]]:
        """Yield what *groups* counted between two snapshots, for each code object that ran."""
        exits: dict[int, list[tuple[int, int]]] = {}
        for key, n in now.exits.items():
            n -= before.exits.get(key, 0)
            if n:
                exits.setdefault(group_of(key), []).append((key, n))
        flying: dict[int, list[tuple[int, int, int]]] = {}
        for place in now.in_flight.keys() | before.in_flight.keys():
            n = now.in_flight.get(place, 0) - before.in_flight.get(place, 0)
            if n:
                flying.setdefault(group_of(place[0]), []).append((*place, n))
        for group in groups:
            left, was_left = now.left_of(group), before.left_of(group)
            if left == was_left and group.number not in exits and group.number not in flying:
                continue
            ran = {group.code_of_probe(n) for n, (old, new) in enumerate(zip(was_left, left)) if old != new}
            exits_of: dict[int, list[tuple[int, int]]] = {}
            for key, n in exits.get(group.number, ()):
                exits_of.setdefault(group.code_at(key), []).append((key, n))
            flying_of: dict[int, dict[int, int]] = {}
            for key, unit, n in flying.get(group.number, ()):
                flying_of.setdefault(group.code_at(key), {})[unit] = n
            packed = group.packed()
            for index in sorted(ran | exits_of.keys() | flying_of.keys()):
                part = slice(group.starts[index], group.starts[index + 1])
                fired = [old - new for old, new in zip(was_left[part], left[part])]
                fast_path_info = packed.fast_path_info(index)
                try:
                    counts = packed.recover(
                        index, fast_path_info, fired, exits_of.get(index, ()), flying_of.get(index, {})
                    )
                except InstrumentError as error:
                    self.session.refuse(fast_path_info.file_name, fast_path_info.name, error)
                    continue
                if counts.lines or counts.entered:
                    yield group.file, fast_path_info.file_name, counts


#: As `id`, which raises an audit event: a hook of the program may forbid it where no handler of ours is.
_identity = object.__hash__


class RecentCode:
    """What became of code that was handed over lately, so that a loop around `eval` need not find out each time.

    It is known by the code's identity and by *where* it runs: whatever the answer may depend on.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[CodeType, tuple[object, ...], CodeType]] = {}

    def get(self, code: CodeType, where: tuple[object, ...]) -> CodeType | None:
        """Return what became of *code*; None if that is not known."""
        found = self._made.get(_identity(code))
        return found[2] if found is not None and found[0] is code and found[1] == where else None

    def put(self, code: CodeType, where: tuple[object, ...], made: CodeType) -> None:
        """Note that *code* became what was *made*. While that is noted, it is in use (`_is_unused`)."""
        if len(self._made) >= _N_KEPT:
            self._made.clear()
        self._made[_identity(code)] = code, where, made

    def clear(self) -> None:
        """Forget all."""
        self._made.clear()


class GcDeferred:
    """A time in which *n* counters are made that are here to last: the garbage collector shall look at them rarely.

    It would again and again while modules are imported, and look at much: counters are objects that it keeps track of.
    So it is put off, and once many were made all objects are taken to be old, by way of `freeze`. In one go: nothing
    may come in between. That also puts off when the program's own garbage is found, so it is done a few times only.
    [3.12, sympy, by perf: 2 ms of a warm import are spent on it, where a plain one spends 15]
    """

    _n_made = 0
    _n_times = 0

    def __init__(self, n: int) -> None:
        self._n = n
        self._collects = False

    def __enter__(self) -> None:
        self._collects = isenabled()
        if self._collects:  # who finds it turned off does not: others, who will turn it on, may do so in between
            disable()

    def __exit__(self, *exception: object) -> None:
        if not self._collects:
            return
        GcDeferred._n_made += self._n
        if GcDeferred._n_made >= _MANY and GcDeferred._n_times < _FEW:
            GcDeferred._n_made = 0
            GcDeferred._n_times += 1
            if get_freeze_count() < _FROZEN_BY_ITSELF:  # else they are the program's, and shall stay frozen
                any(map(call, _AGE_ALL_OBJECTS))
        enable()


_AGE_ALL_OBJECTS = freeze, unfreeze
_MANY = 1_024
_FEW = 128
#: 3.12 begins with some hundred frozen objects. Whoever freezes has more: all that there are.
_FROZEN_BY_ITSELF = 1_000


class LongSwitchInterval:
    """A time in which other threads wait longer for their turn: long enough for what has to see one moment.

    No longer than that: one that asked for its turn before still gets it, and then we wait as long ourselves.
    """

    _SECONDS = 0.2
    _n = 0
    _interval = 0.0
    _ours = 0.0

    def __enter__(self) -> None:
        LongSwitchInterval._n += 1
        if LongSwitchInterval._n == 1:
            LongSwitchInterval._interval = getswitchinterval()
        setswitchinterval(max(self._SECONDS, LongSwitchInterval._interval))
        LongSwitchInterval._ours = getswitchinterval()

    def __exit__(self, *exception: object) -> None:
        LongSwitchInterval._n -= 1
        if not LongSwitchInterval._n:
            # One call in C, in which no other thread gets its turn: what the program has set meanwhile stays.
            is_ours = map(eq, map(call, (getswitchinterval,)), (LongSwitchInterval._ours,))
            any(map(setswitchinterval, compress((LongSwitchInterval._interval,), is_ours)))


#: So many code objects are remembered in a `RecentCode`.
_N_KEPT = 512
#: Of code that was handed over so much is kept, with what is nested in it, in case it is executed again (`_size_of`).
_EXEC_CODE_KEPT = 32_768


def _size_of(group: CodeGroup) -> int:
    """Return about how much memory *group* takes, in units of some 200 bytes."""
    return 64 + 4 * len(group) + group.starts[-1]


def _references_of_what_is_held_once() -> int:
    for thing in [object()]:
        return getrefcount(thing)
    raise AssertionError


_HELD_ONCE = _references_of_what_is_held_once()


def _is_unused(group: CodeGroup) -> bool:
    """Return whether nobody but ourselves holds the code of *group*: no function, no frame, no variable."""
    codes = group.codes or []
    held: dict[int, int] = {}
    for code in codes:
        for constant in code.co_consts:
            if type(constant) is CodeType:
                held[id(constant)] = held.get(id(constant), 0) + 1
    for code in codes:  # noqa: SIM110 - a generator would hold it once more
        if getrefcount(code) > _HELD_ONCE + held.get(id(code), 0):
            return False
    return True


def original_of(code: CodeType) -> CodeType:
    """Return what *code* was before it was made live; *code* itself if that cannot be had any more."""
    tail = appended_constants(code)
    if tail is None:
        return code
    group: CodeGroup | None = tail[0].session.groups.get(group_of(tail[1]))
    if group is None:
        return code
    index = group.code_at(tail[1])
    originals = group.originals
    if originals is None:
        made = group.origin() if group.origin is not None else None
        originals = nested_code(made) if made is not None else []
        if len(originals) != len(group) or originals[index].co_qualname != group.packed().fast_path_info(index).name:
            return code
        group.originals = originals
    found = originals[index]
    kept: dict[str, Any] = {}
    for name in _NAMES:  # no comprehension: code with handlers cannot be unseen on 3.15
        if getattr(code, name) != getattr(found, name):
            kept[name] = getattr(code, name)
    return found.replace(**kept) if kept else found


#: Functions whose originals were given to something that may run them where they are not counted: path and version of
#: the source; name and first line, as the counts have them; what got the original; and module and file that say which
#: scope the function is in.
_given_out: dict[GivenOut, None] = {}


def give_out(code: CodeType, taker: str) -> CodeType:
    """Return what *code* was before it was made live, and note that *taker* got it."""
    tail = appended_constants(code)
    original = original_of(code)
    if tail is not None and original is not code:
        group: CodeGroup | None = tail[0].session.groups.get(group_of(tail[1]))
        if group is not None:
            _note_given_out(group, group.code_at(tail[1]), taker)
    return original


def _note_given_out(group: CodeGroup, index: int, taker: str) -> None:
    """Note that *taker* got the code numbered *index* of *group*, if that is counted."""
    place = group.source_key()
    if place is not None:
        originals = group.originals
        name = group.packed().fast_path_info(index).name if originals is None else originals[index].co_qualname
        _given_out[place, name, group.first_line(index), taker, group.module, group.file] = None


def _note_pickled(counter: repeat[None]) -> None:
    """Note that the code with this *counter* was given out, live as it is: nobody reads the copies of its counters."""
    for where in placement.PLACEMENTS:
        each = _sessions.get(where)
        lasting = -1 if each is None else next(compress(count(), map(is_, each.counters, repeat(counter))), -1)
        for group in () if each is None else list(each.groups.values()):
            number = lasting - group.first
            if group.counters:
                number = next(compress(count(), map(is_, group.counters, repeat(counter))), -1)
            elif lasting < 0:
                continue
            if 0 <= number < group.starts[-1]:
                _note_given_out(group, group.code_of_probe(number), "pickle")


on_pickled.append(_note_pickled)


def given_out(n: int = 0) -> list[GivenOut]:
    """Return the functions whose originals were given out, in the order in which that happened, but for the first *n*.

    What other processes ran of such a function is in no counts, unless they count it themselves.
    """
    return list(_given_out)[n:] if len(_given_out) > n else []


#: What takes code of a measured function to a namespace that is not measured, where it is not counted.
_OUTSIDE = "exec or FunctionType outside of the scope"

#: What the program may have given another value, by the `replace` of a live code object.
_NAMES = ("co_filename", "co_name", "co_qualname", "co_firstlineno")


def instrument_existing_functions(
    choose_session: Callable[[str | None, str | None], Session | None],
    on_code: Callable[[CodeType, str | None, str | None], None] | None = None,
    lazily: bool = False,
    on_files: Callable[[set[str]], None] | None = None,
    on_functions: Callable[[str | None, list[FunctionType]], None] | None = None,
) -> None:
    """Exchange the code of every function there is for its twin in the session that *choose_session* returns for its
    module.

    *choose_session* is given the module's `__file__` and its name, and returns None for what is not measured; of
    that, only
    functions that may hand over code of others are exchanged. Before that *on_files* is told of all files, and
    afterwards
    *on_code* of the twins, with the file and the name, and *exchanged_functions* of the functions, with the file.
    What rewriting needs is loaded first; *lazily*, only if something must be rewritten.
    """
    if not lazily:
        isolation.load()
    nothing = session(placement.NOTHING)
    batches: dict[Session, Batch] = {}
    for (where, file, name, _), codes in _functions_to_instrument(choose_session, nothing, on_files).items():
        if where not in batches:
            batches[where] = Batch(where.cache())
        found = list(codes.values())
        aliases = imports.executor_names_in_namespace(found[0][1][0].__globals__)
        twins = where.instrument_existing_code([code for code, _ in found], file, batches[where], aliases)
        if on_code is not None and where is not nothing:
            for twin in twins:
                on_code(twin, file, name)
        for (code, functions), twin in zip(found, twins):
            for function in functions if twin is not code else ():
                if function.__code__ is code:
                    function.__code__ = twin
                    if where is nothing:
                        where.exchanged_functions.append((ref(function), code, twin))
        if on_functions is not None and where is not nothing:
            on_functions(file, [function for _, functions in found for function in functions])
    for batch in batches.values():
        batch.flush()


def _functions_to_instrument(
    choose_session: Callable[[str | None, str | None], Session | None],
    nothing: Session,
    on_files: Callable[[set[str]], None] | None,
) -> dict[tuple[Session, str | None, str | None, str], dict[int, tuple[CodeType, list[FunctionType]]]]:
    """Return the functions to adopt by their code objects, by identity, and those by where they go to and come from:
    session, file and name of the module, and source.
    """
    ours = {id(vars(module)) for module in isolation.own}
    for key, module in list(sys.modules.items()):
        if type(key) is str and key.partition(".")[0] == __name__.partition(".")[0] and module is not None:
            ours.add(id(vars(module)))
    by_namespace: dict[int, list[FunctionType]] = {}
    for function in instances_of([FunctionType]):
        namespace = id(function.__globals__)
        if namespace in by_namespace:
            by_namespace[namespace].append(function)
        elif namespace not in ours:
            by_namespace[namespace] = [function]
    modules = [(_text_in(each[0], "__file__"), _text_in(each[0], "__name__")) for each in by_namespace.values()]
    if on_files is not None:
        on_files({file for file, _ in modules if file is not None})
    found: dict[tuple[Session, str | None, str | None, str], dict[int, tuple[CodeType, list[FunctionType]]]] = {}
    for (file, name), functions in zip(modules, by_namespace.values()):
        where = choose_session(file, name)
        for function in functions:
            code = function.__code__
            if where is not None:
                codes = found.setdefault((where, file, name, code.co_filename), {})
            elif may_execute_code(code) and not is_live(code):
                codes = found.setdefault((nothing, file, name, code.co_filename), {})
            else:
                continue
            codes.setdefault(id(code), (code, []))[1].append(function)
    return found


def _text_in(function: FunctionType, name: str) -> str | None:
    """Return the value of *name* in the module of *function* if that is text."""
    value = dict.get(function.__globals__, name)
    return value if isinstance(value, str) else None


def _renumbered(unlinked_codes: list[UnlinkedValues], before: int) -> Iterator[UnlinkedValues]:
    """Yield *unlinked_codes* as they are where *before* others precede them."""
    for unlinked in unlinked_codes:
        nested = () if is_refused(unlinked) else unlinked[6]
        yield (
            (*unlinked[:6], tuple((place, number + before) for place, number in nested), *unlinked[7:])
            if nested
            else unlinked
        )


def code_if_unmeasured(code: CodeType, file: str | None, module_import: ModuleImport | None) -> CodeType:
    """Return what runs in place of *code*, which is not measured: itself, as it was before, unless it may hand over
    code of others. *file* is the `__file__` of the module that it runs in; that of one that is imported was
    *module_import*.
    """
    nothing = session(placement.NOTHING)
    tail = appended_constants(code)
    if tail is None or tail[0] is not nothing.records:
        code = give_out(code, _OUTSIDE)
        if not nothing.handovers().may_execute_code_in(code, module_import):
            return code
    return (
        nothing.instrument_exec_code(code, file)
        if module_import is None
        else nothing.instrument_module(code, file, module_import)
    )


def bytecode_if_unmeasured(module_import: ModuleImport, file: str) -> CodeType | None:
    """Return what runs in place of the bytecode that is *module_import*, which is not measured; None if that is not
    known
    without looking at it, or is the bytecode itself.
    """
    if module_import.bytecode is None:
        module_import.predict_bytecode()
    nothing = session(placement.NOTHING)
    module_import.needs_no_rewrite = nothing.handovers().is_exec_free(module_import)
    return None if module_import.needs_no_rewrite else nothing.cached_module_code(module_import, file)


def live_group(code: CodeType) -> CodeGroup | None:
    """Return the group that *code* belongs to if it is live, else None."""
    tail = appended_constants(code)
    return None if tail is None else tail[0].session.groups.get(group_of(tail[1]))


def is_live(code: CodeType) -> bool:
    """Return whether *code* is that of a session."""
    return appended_constants(code) is not None


def _running_frames() -> list[FrameType]:
    """Return the newest frame of each thread, and of each greenlet that is switched out; that of the caller's caller
    for this thread.

    No frame must hold itself: it would not be freed, nor those that called it, nor what exceptions they handle.
    """
    frames = newest_frames(2)
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        kinds = [greenlet.greenlet]
        for kind in kinds:
            kinds.extend(type.__subclasses__(kind))
        frames.extend(frame for one in instances_of(kinds) if (frame := one.gr_frame) is not None)
    return frames


def instances_of(kinds: list[type]) -> list[Any]:
    """Return all objects that are of just one of *kinds*, as far as the garbage collector knows them.

    Others must not get their turn while we hold all objects: among them are tuples that are being made, which then fail
    (tupleobject.c: _PyTuple_Resize). So it is one call, of `list`, in which everything happens, in C: the objects are
    fetched, looked at and let go of. Nothing is asked of them that could be written in Python.
    """
    objects: list[Any] = []
    fetch = map(objects.extend, map(call, (get_objects,)))
    let_go = map(call, (objects.clear,))
    each = chain(filter(None, fetch), objects, filter(None, let_go))  # the outer ones do something, and yield nothing
    collects = isenabled()
    if collects:
        disable()  # what is collected may be finalized in Python
    try:
        found: Iterator[bool]
        if len(kinds) == 1:  # in half the time
            found = map(is_, map(type, objects), repeat(kinds[0]))
        else:
            found = map(frozenset(map(id, kinds)).__contains__, map(id, map(type, objects)))
        return list(compress(each, found))
    finally:
        if collects:
            enable()


_sessions: dict[str, Session] = {}


def session(where: str) -> Session:
    """Return this process's session with the placement *where*."""
    if where not in _sessions:
        _sessions[where] = Session(where)
    return _sessions[where]


class _Sessions(ProcessState):
    """The sessions of this process: `_sessions`."""

    __slots__ = ()

    def reset(self) -> None:
        _sessions.clear()

    def after_fork_in_child(self) -> None:
        for each in _sessions.values():
            each.forked()


_Sessions()

note_modules()  # those that this package has loaded
