"""One measurement after another: what was made live in this process, and what was counted since.

Code objects come in, live ones go out, each made once however many measurements want it. Counters only ever grow, so a
measurement is a difference between two snapshots (`Window`): nested and concurrent measurements each get their own
truth.

A snapshot holds what all counters say, what exits were recorded, and which frames are in flight, as of one moment.
"""

from __future__ import annotations

# What is called while the program runs is held by name: the program may put something else in its place.
import sys
from _thread import get_ident
from _warnings import warn
from functools import partial
from gc import get_objects
from sys import _current_frames, _getframe, getrefcount, getswitchinterval, setswitchinterval
from types import CodeType, FunctionType

from instrument import isolation
from instrument.counts import Counts
from instrument.errors import InstrumentError, InstrumentWarning
from instrument.flow import conservation, placement
from instrument.rewrite import probes, rewriter
from instrument.rewrite.rewriter import Unlinked
from instrument.runtime import counters, importer
from instrument.runtime.cache import Batch, Cache, open_cache
from instrument.runtime.counters import Live
from instrument.runtime.selection import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from itertools import repeat
    from types import FrameType
    from typing import Protocol

    class Listener(Protocol):
        """What is called when code runs that was rewritten to call, not to count."""

        def passed(self, live: Live, probe: int, frame: FrameType) -> None: ...
        def raised(self, live: Live, record: int, exception: BaseException, frame: FrameType) -> None: ...


class Session:
    """All code of this process that was made live with one *placement*; see `session`.

    With the placements EVENTS and CALLS the probes do not count: they call the `listeners`.
    """

    def __init__(self, where: str) -> None:
        self.placement = where
        self.listeners: list[Listener] = []
        self._listening: set[int] = set()  # threads in a listener: what that runs itself is no event
        self.lives: list[Live] = []
        self.counters: list[repeat[None]] = []
        #: Code that was handed over, which may be the first of ever new texts: it has counters of its own, and is
        #: retired some time after the program has let go of it.
        self.passing: dict[Live, None] = {}
        self._groups: dict[int, list[Live]] = {}  # what was made for one code object, that used last at the end
        self._let_go: list[list[Live]] = []
        self.windows: list[Window] = []
        self.n_readers = 0
        #: Why files are not measured, by file name.
        self.not_measured: dict[str, str] = {}
        # The twins hold their originals, so no identity is ever that of another code object.
        self._by_original: dict[int, Live] = {}
        self._by_code: dict[int, Live] = {}
        self._refused: dict[int, CodeType] = {}
        self._cache: Cache | None = None

    # Making code live
    # ##################################################################################################

    def live_code(self, code: CodeType, file: str | None, batch: Batch | None = None) -> CodeType:
        """Return the twin of *code* that counts, made when it is first asked for; *code* itself if it cannot be
        rewritten.

        Code with a *batch* of the cache is here to last, and likely to be met again by other processes.
        """
        if id(code) in self._by_code or self._is_unknown_python():
            return code
        code = counters.pristine.get(id(code), code)
        if id(code) in self._refused:
            return code
        live = self._by_original.get(id(code))
        if live is None:
            live = self._make(code, file, batch)
        elif id(code) in self._groups:
            self._groups[id(code)] = self._groups.pop(id(code))
        return code if live is None else live.code

    def batch(self) -> Batch:
        """Return a new batch of the cache for this placement."""
        if self._cache is None:
            self._cache = open_cache(self.placement)
        return Batch(self._cache)

    def _is_unknown_python(self) -> bool:
        """Return whether this interpreter is none that we know how to rewrite code for; say so once."""
        if not probes.SUPPORTED and not self.not_measured:
            version = ".".join(map(str, sys.version_info[:2]))
            self.not_measured["<all>"] = f"this release does not know Python {version}"
            warn(f"nothing is measured: this release does not know Python {version}", InstrumentWarning, 2)
        return not probes.SUPPORTED

    def _make(self, code: CodeType, file: str | None, batch: Batch | None) -> Live | None:
        """Make *code* and all code nested in it live, innermost first, without recursion."""
        order = [code]
        for outer in order:
            order.extend(c for c in outer.co_consts if isinstance(c, CodeType) and id(c) not in self._by_original)
        made = [
            self._make_one(inner, file, batch) for inner in reversed(order) if id(inner) not in self._by_original
        ]
        if batch is None:
            self._groups[id(code)] = [live for live in made if live is not None]
            if len(self._groups) > _N_KEPT:
                self._let_go.append(self._groups.pop(next(iter(self._groups))))
                if len(self._let_go) >= _N_KEPT // 8 and not self.n_readers:
                    self._retire()
        return made[-1]

    def _retire(self) -> None:
        """Forget code that was handed over long ago and is used no more; windows keep what it counted."""
        waiting, self._let_go = self._let_go, []
        with _Undisturbed():  # no thread shall open or read a window meanwhile
            for group in waiting:
                if not _is_unused(group):
                    self._let_go.append(group)
                    continue
                for window in self.windows:
                    window.settle(group)
                for live in group:
                    self.passing.pop(live, None)
                    del self._by_original[id(live.original)], self._by_code[id(live.code)]
                    del counters.pristine[id(live.code)]
                    live.code = live.original  # code that holds what holds it would stay
        if len(self._let_go) >= _N_KEPT // 8:  # most is in use: look at it less often than it grows
            self._groups.update((id(group[-1].original), group) for group in self._let_go if group)
            self._let_go = []

    def _make_one(self, code: CodeType, file: str | None, batch: Batch | None) -> Live | None:
        try:
            unlinked = self._unlinked(code, batch)
        except Exception as error:
            self._refuse(code, error)
            return None
        live = Live(code, unlinked, file)
        constants = tuple(
            self._by_original[id(c)].code if isinstance(c, CodeType) and id(c) in self._by_original else c
            for c in code.co_consts
        )
        if self.placement not in placement.CALLING:
            made = [counters.make_counter() for _ in range(unlinked.n_probes)]
            live.exits = [counters.ExitRecords(counters.make_counter) for _ in range(unlinked.n_exits)]
            live.link(unlinked, constants, made, live.exits, importer.prepare)
            if batch is None:
                live.counters = made
                self.passing[live] = None
            elif made:
                self.counters.extend(made)
                # Whatever ran in between may have made more: ours are where they are.
                live.first = next(n for n in range(len(self.counters) - 1, -1, -1) if self.counters[n] is made[0])
                live.last = live.first + len(made)
        else:
            live.link(
                unlinked,
                constants,
                [partial(self._passed, live, number) for number in range(unlinked.n_probes)],
                [partial(self._raised, live, number) for number in range(unlinked.n_exits)],
                importer.prepare,
            )
        if batch is not None:
            self.lives.append(live)
        self._by_original[id(code)] = live
        self._by_code[id(live.code)] = live
        counters.pristine[id(live.code)] = code
        return live

    def _unlinked(self, code: CodeType, batch: Batch | None) -> Unlinked:
        known = None if batch is None else batch.get(code)
        if known is not None:
            return known
        flow = placement.graph_of(code, self.placement)
        unlinked = rewriter.rewrite(flow, placement.plan(flow, self.placement))
        if batch is not None:
            batch.put(code, unlinked)
        return unlinked

    def _refuse(self, code: CodeType, error: Exception) -> None:
        self._refused[id(code)] = code
        first = code.co_filename not in self.not_measured
        self.not_measured.setdefault(code.co_filename, f"{code.co_qualname}: {error}")
        if first:
            warn(f"{code.co_filename} is not measured: {code.co_qualname}: {error}", InstrumentWarning, 2)

    def _passed(self, live: Live, probe: int) -> None:
        # Whatever comes next may run code of the program: `sys._getframe` its audit hooks, for one.
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            for listener in self.listeners:
                listener.passed(live, probe, _getframe(1))
        finally:
            self._listening.discard(thread)

    def _raised(self, live: Live, record: int, exception: BaseException) -> None:
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            for listener in self.listeners:
                listener.raised(live, record, exception, _getframe(1))
        finally:
            self._listening.discard(thread)

    def release_functions(self) -> None:
        """Give every function whose code was exchanged its original back."""
        for thing in get_objects():
            if type(thing) is FunctionType and id(thing.__code__) in self._by_code:
                thing.__code__ = self._by_code[id(thing.__code__)].original

    def entered_since(self, window: Window, name: str) -> Iterator[Live]:
        """Yield the code of modules called *name* that ran since *window* was opened."""
        for live in [*self.lives, *self.passing]:
            if live.file and module_name(live.file) == name:
                left = counters.read(live.counters or self.counters[live.first : live.last])
                if left != window.at_opening.left_of(live) and any(n != counters.FULL for n in left):
                    yield live

    # Reading
    # ###########################################################################################################

    def snapshot(self) -> Snapshot:
        """Return what all counters, exits and frames in flight say, as of one moment."""
        alone = len(_current_frames()) == 1
        with _Undisturbed():
            left = counters.read(self.counters)
            for _ in range(1000):
                passing = {live: counters.read(live.counters) for live in list(self.passing)}
                in_flight = self._in_flight()
                lives = list(self.lives)
                exits: dict[Live, dict[int, dict[int, int]]] = {}
                for live in (*lives, *passing):
                    for number, records in enumerate(live.exits):
                        if records:
                            exits.setdefault(live, {})[number] = counters.counts_of(records)
                again = left if alone else counters.read(self.counters)
                if again == left:
                    break
                left = again
        return Snapshot(lives, left, passing, exits, in_flight)

    def snapshot_of(self, lives: list[Live]) -> Snapshot:
        """Return what was counted by *lives*, whose code runs no more and was handed over."""
        passing = {live: counters.read(live.counters) for live in lives}
        exits = {
            live: {number: counters.counts_of(records) for number, records in enumerate(live.exits) if records}
            for live in lives
        }
        return Snapshot([], [], passing, exits, {})

    def _in_flight(self) -> dict[Live, dict[int, int]]:
        """Return how many frames of each live code object are at each code unit."""
        found: dict[Live, dict[int, int]] = {}
        for top in _running_frames():
            frame: FrameType | None = top
            while frame is not None:
                live = self._by_code.get(id(frame.f_code))
                if live is not None and frame.f_lasti >= 0:
                    places = found.setdefault(live, {})
                    unit = frame.f_lasti >> 1
                    places[unit] = places.get(unit, 0) + 1
                frame = frame.f_back
        return found


class Snapshot:
    """What was read at one moment, by live code object: what is left of its counters (*left* of all *lives* in one, and
    of those in *passing*), its *exits* by record, and its frames *in_flight*.
    """

    __slots__ = ("exits", "in_flight", "left", "lives", "passing")

    def __init__(
        self,
        lives: list[Live],
        left: list[int],
        passing: dict[Live, list[int]],
        exits: dict[Live, dict[int, dict[int, int]]],
        in_flight: dict[Live, dict[int, int]],
    ) -> None:
        self.lives = lives
        self.left = left
        self.passing = passing
        self.exits = exits
        self.in_flight = in_flight

    def left_of(self, live: Live) -> list[int]:
        """Return what is left of the counters of *live*; all, if it did not exist yet."""
        if live.counters:
            return self.passing.get(live) or [counters.FULL] * len(live.counters)
        left = self.left[live.first : live.last]
        return left if len(left) == live.last - live.first else [counters.FULL] * (live.last - live.first)


_NOTHING: dict[int, int] = {}


class Window:
    """A measurement of *session*: what is counted from its opening on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._last = self.at_opening = session.snapshot()
        self._settled: dict[tuple[str | None, str], Counts] = {}
        session.windows.append(self)

    def close(self) -> None:
        """Count no more; what was counted can still be taken."""
        self.session.windows.remove(self)

    def take(self) -> Iterator[tuple[str | None, str, Counts]]:
        """Yield what was counted since the opening, or since `take` was called before, for each code object or file.

        With it come the `__file__` of the module and the name of the source file.
        """
        session = self.session
        session.n_readers += 1
        try:
            while True:
                before = self._last
                now = session.snapshot()
                if self._last is before:  # no other thread took meanwhile
                    self._last = now
                    break
            settled, self._settled = self._settled, {}
            for (file, name), counts in settled.items():
                yield file, name, counts
            for live in (*now.lives, *now.passing):
                counts = self._seen(live, before, now)
                if counts.lines or counts.entered:
                    yield live.file, live.original.co_filename, counts
        finally:
            session.n_readers -= 1

    def settle(self, lives: list[Live]) -> None:
        """Note what *lives*, which are about to be forgotten, have counted."""
        now = self.session.snapshot_of(lives)
        for live in lives:
            counts = self._seen(live, self._last, now)
            if counts.lines or counts.entered:
                key = live.file, live.original.co_filename
                self._settled[key] = self._settled.get(key, Counts()) + counts

    def _seen(self, live: Live, before: Snapshot, now: Snapshot) -> Counts:
        """Return what *live* counted between two snapshots."""
        left, was_left = now.left_of(live), before.left_of(live)
        exits_now, exits_before = now.exits.get(live), before.exits.get(live, {})
        flying, flew = now.in_flight.get(live, _NOTHING), before.in_flight.get(live, _NOTHING)
        if left == was_left and not exits_now and flying == flew:
            return Counts()
        fired = [old - new for old, new in zip(was_left, left)]
        exits = [_NOTHING] * len(live.exits)
        for record, counted in (exits_now or {}).items():
            exits[record] = _difference(counted, exits_before.get(record, _NOTHING))
        try:
            return conservation.recover(live.plan, live.observe(fired, exits, _difference(flying, flew)))
        except InstrumentError as error:
            self.session._refuse(live.original, error)
            return Counts()


class _Undisturbed:
    """A time in which other threads wait longer for their turn: long enough for what has to see one moment.

    No longer than that: one that asked for its turn before still gets it, and then we wait as long ourselves.
    """

    _SECONDS = 0.2
    _n = 0
    _interval = 0.0

    def __enter__(self) -> None:
        _Undisturbed._n += 1
        if _Undisturbed._n == 1:
            _Undisturbed._interval = getswitchinterval()
        setswitchinterval(max(self._SECONDS, _Undisturbed._interval))

    def __exit__(self, *exception: object) -> None:
        _Undisturbed._n -= 1
        if not _Undisturbed._n:
            setswitchinterval(_Undisturbed._interval)


#: So many code objects that were handed over are kept, with what is nested in them, in case they are executed again.
_N_KEPT = 512


class _Holder:
    __slots__ = ("code",)


def _references_of_one_holder() -> int:
    holder = _Holder()
    holder.code = object()  # type: ignore[attr-defined]
    return getrefcount(holder.code)  # type: ignore[attr-defined]


_HELD_ONCE = _references_of_one_holder()


def _is_unused(group: list[Live]) -> bool:
    """Return whether nobody but ourselves holds the code of *group*: no function, no frame, no variable."""
    held: dict[int, int] = {}
    for live in group:
        for constant in live.code.co_consts:
            if type(constant) is CodeType:
                held[id(constant)] = held.get(id(constant), 0) + 1
    return all(getrefcount(live.code) <= _HELD_ONCE + held.get(id(live.code), 0) for live in group)


def adopt_functions(choose: Callable[[str | None], Session | None]) -> None:
    """Exchange the code of every function there is for its twin in the session that *choose* returns for its module.

    *choose* is given the module's `__file__`, and returns None for what is not measured; of that, only functions that
    may hand over code of others are exchanged.
    """
    isolation.load()
    ours = {id(vars(module)) for module in isolation.own}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == __name__.partition(".")[0] and module is not None:
            ours.add(id(vars(module)))
    chosen: dict[int, tuple[Session | None, str | None]] = {}
    batches: dict[Session, Batch] = {}
    for function in [thing for thing in get_objects() if type(thing) is FunctionType]:
        namespace = id(function.__globals__)
        if namespace in ours:
            continue
        if namespace not in chosen:
            file = dict.get(function.__globals__, "__file__")
            file = file if isinstance(file, str) else None
            chosen[namespace] = choose(file), file
        where, file = chosen[namespace]
        if where is None:
            if is_live(function.__code__) or not hands_over(function.__code__):
                continue
            where = session(placement.NOTHING)
        if where not in batches:
            batches[where] = where.batch()
        live = where.live_code(function.__code__, file, batches[where])
        if live is not function.__code__:
            function.__code__ = live
    for batch in batches.values():
        batch.flush()


def is_live(code: CodeType) -> bool:
    """Return whether *code* is that of a session."""
    return id(code) in counters.pristine


def hands_over(code: CodeType) -> bool:
    """Return whether *code*, or code nested in it, may hand code to `exec`, `eval` or others that take it."""
    waiting = [code]
    for inner in waiting:
        if placement.hands_over(inner.co_names):
            return True
        waiting.extend(constant for constant in inner.co_consts if type(constant) is CodeType)
    return False


def _difference(now: dict[int, int], before: dict[int, int]) -> dict[int, int]:
    if not before:
        return now
    return {
        key: now.get(key, 0) - before.get(key, 0)
        for key in now.keys() | before.keys()
        if now.get(key, 0) != before.get(key, 0)
    }


def _running_frames() -> list[FrameType]:
    """Return the newest frame of each thread, and of each greenlet that is switched out."""
    frames = list(_current_frames().values())
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        greenlets = (thing for thing in get_objects() if isinstance(thing, greenlet.greenlet))
        frames.extend(thing.gr_frame for thing in greenlets if thing.gr_frame is not None)
    return frames


_sessions: dict[str, Session] = {}


def session(where: str) -> Session:
    """Return this process's session with the placement *where*."""
    if where not in _sessions:
        _sessions[where] = Session(where)
    return _sessions[where]
