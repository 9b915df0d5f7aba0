"""One measurement after another: what was made live in this process, and what was counted since.

Code objects come in, live ones go out, each made once however many measurements want it. Counters only ever grow, so a
measurement is a difference between two snapshots (`Window`): nested and concurrent measurements each get their own
truth.

A snapshot holds what all counters say, what exits were recorded, and which frames are in flight, as of one moment.
"""

from __future__ import annotations

import gc
import sys
from _warnings import warn
from functools import partial
from types import CodeType, FunctionType

from instrument import isolation
from instrument.counts import Counts
from instrument.errors import InstrumentError, InstrumentWarning
from instrument.flow import conservation, graph, placement
from instrument.flow.instructions import Instructions
from instrument.rewrite import probes, rewriter
from instrument.rewrite.rewriter import Unlinked
from instrument.runtime import counters, importer
from instrument.runtime.cache import Cache, open_cache
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
        self.lives: list[Live] = []
        self.counters: list[repeat[None]] = []
        #: Why files are not measured, by file name.
        self.not_measured: dict[str, str] = {}
        # The twins hold their originals, so no identity is ever that of another code object.
        self._by_original: dict[int, Live] = {}
        self._by_code: dict[int, Live] = {}
        self._refused: dict[int, CodeType] = {}
        self._cache: Cache | None = None

    # Making code live
    # ##################################################################################################

    def live_code(self, code: CodeType, file: str | None, lasting: bool = False) -> CodeType:
        """Return the twin of *code* that counts, made when it is first asked for; *code* itself if it cannot be
        rewritten.

        *lasting* code is likely to be met again by other processes: what it is rewritten to is looked for in the cache,
        and kept there by `flush`.
        """
        if id(code) in self._by_code or self._is_unknown_python():
            return code
        code = counters.pristine.get(id(code), code)
        if id(code) in self._refused:
            return code
        live = self._by_original.get(id(code)) or self._make(code, file, lasting)
        return code if live is None else live.code

    def flush(self) -> None:
        """Write to the cache what was rewritten since."""
        if self._cache is not None:
            self._cache.flush()

    def _is_unknown_python(self) -> bool:
        """Return whether this interpreter is none that we know how to rewrite code for; say so once."""
        if not probes.SUPPORTED and not self.not_measured:
            version = ".".join(map(str, sys.version_info[:2]))
            self.not_measured["<all>"] = f"this release does not know Python {version}"
            warn(f"nothing is measured: this release does not know Python {version}", InstrumentWarning, 2)
        return not probes.SUPPORTED

    def _make(self, code: CodeType, file: str | None, lasting: bool) -> Live | None:
        """Make *code* and all code nested in it live, innermost first, without recursion."""
        order = [code]
        for outer in order:
            order.extend(c for c in outer.co_consts if isinstance(c, CodeType) and id(c) not in self._by_original)
        made = None
        for inner in reversed(order):
            if id(inner) not in self._by_original:
                made = self._make_one(inner, file, lasting)
        return made

    def _make_one(self, code: CodeType, file: str | None, lasting: bool) -> Live | None:
        try:
            unlinked = self._unlinked(code, lasting)
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
            live.first = len(self.counters)
            live.last = live.first + len(made)
            live.link(unlinked, constants, made, live.exits, importer.prepare)
            self.counters.extend(made)
        else:
            live.link(
                unlinked,
                constants,
                [partial(self._passed, live, number) for number in range(unlinked.n_probes)],
                [partial(self._raised, live, number) for number in range(unlinked.n_exits)],
                importer.prepare,
            )
        self.lives.append(live)
        self._by_original[id(code)] = live
        self._by_code[id(live.code)] = live
        counters.pristine[id(live.code)] = code
        return live

    def _unlinked(self, code: CodeType, lasting: bool) -> Unlinked:
        if lasting:
            if self._cache is None:
                self._cache = open_cache(self.placement)
            known = self._cache.get(code)
            if known is not None:
                return known
        flow = graph.build(Instructions(code))
        unlinked = rewriter.rewrite(flow, placement.plan(flow, self.placement))
        if lasting and self._cache is not None:
            self._cache.put(code, unlinked)
        return unlinked

    def _refuse(self, code: CodeType, error: Exception) -> None:
        self._refused[id(code)] = code
        first = code.co_filename not in self.not_measured
        self.not_measured.setdefault(code.co_filename, f"{code.co_qualname}: {error}")
        if first:
            warn(f"{code.co_filename} is not measured: {code.co_qualname}: {error}", InstrumentWarning, 2)

    def _passed(self, live: Live, probe: int) -> None:
        for listener in self.listeners:
            listener.passed(live, probe, sys._getframe(1))

    def _raised(self, live: Live, record: int, exception: BaseException) -> None:
        for listener in self.listeners:
            listener.raised(live, record, exception, sys._getframe(1))

    def release_functions(self) -> None:
        """Give every function whose code was exchanged its original back."""
        for thing in gc.get_objects():
            if type(thing) is FunctionType and id(thing.__code__) in self._by_code:
                thing.__code__ = self._by_code[id(thing.__code__)].original

    def entered_since(self, window: Window, name: str) -> Iterator[Live]:
        """Yield the code of modules called *name* that ran since *window* was opened."""
        for live in self.lives:
            if live.file and module_name(live.file) == name:
                left = counters.read(self.counters[live.first : live.last])
                if left != window.left_at_opening[live.first : live.last] and any(n != counters.FULL for n in left):
                    yield live

    # Reading
    # ###########################################################################################################

    def snapshot(self) -> Snapshot:
        """Return what all counters, exits and frames in flight say, as of one moment."""
        interval = sys.getswitchinterval()
        alone = len(sys._current_frames()) == 1
        if not alone:  # other threads must not run between the parts; long enough that none of them asks
            sys.setswitchinterval(1000.0)
        try:
            left = counters.read(self.counters)
            for _ in range(1000):
                in_flight = self._in_flight()
                exits = {
                    (number, record): counters.counts_of(records)
                    for number, live in enumerate(self.lives)
                    for record, records in enumerate(live.exits)
                    if records
                }
                again = left if alone else counters.read(self.counters)
                if again == left:
                    break
                left = again
            return Snapshot(left, exits, in_flight)
        finally:
            if not alone:
                sys.setswitchinterval(interval)

    def _in_flight(self) -> dict[int, dict[int, int]]:
        """Return how many frames of each live code object are at each code unit."""
        found: dict[int, dict[int, int]] = {}
        for top in _running_frames():
            frame: FrameType | None = top
            while frame is not None:
                live = self._by_code.get(id(frame.f_code))
                if live is not None and frame.f_lasti >= 0:
                    places = found.setdefault(id(live), {})
                    unit = frame.f_lasti >> 1
                    places[unit] = places.get(unit, 0) + 1
                frame = frame.f_back
        return found


class Snapshot:
    """What was read at one moment: what is *left* of each counter, *exits* by (live, record), frames *in_flight*."""

    __slots__ = ("exits", "in_flight", "left")

    def __init__(
        self, left: list[int], exits: dict[tuple[int, int], dict[int, int]], in_flight: dict[int, dict[int, int]]
    ) -> None:
        self.left = left
        self.exits = exits
        self.in_flight = in_flight


class Window:
    """A measurement of *session*: what is counted from its opening on."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._last = session.snapshot()
        self.left_at_opening = self._last.left

    def take(self) -> Iterator[tuple[Live, Counts]]:
        """Yield what each code object counted since the opening, or since `take` was called before."""
        session = self.session
        before, self._last = self._last, session.snapshot()
        now = self._last
        n_before = len(before.left)
        by_live: dict[int, list[int]] = {}
        for number, record in now.exits:
            by_live.setdefault(number, []).append(record)
        nothing: dict[int, int] = {}
        for number, live in enumerate(session.lives):
            first, last = live.first, live.last
            if last > len(now.left):  # made live after the snapshot
                break
            left = now.left[first:last]
            was_left = before.left[first:last] if last <= n_before else [counters.FULL] * (last - first)
            flying = now.in_flight.get(id(live), nothing)
            flew = before.in_flight.get(id(live), nothing)
            if left == was_left and number not in by_live and flying == flew:
                continue
            fired = [old - new for old, new in zip(was_left, left)]
            exits = [nothing] * len(live.exits)
            for record in by_live.get(number, ()):
                exits[record] = _difference(now.exits[number, record], before.exits.get((number, record), nothing))
            seen = live.observe(fired, exits, _difference(flying, flew))
            try:
                counts = conservation.recover(live.plan, seen)
            except InstrumentError as error:
                session._refuse(live.original, error)
                continue
            if counts.lines or counts.entered:
                yield live, counts


def adopt_functions(choose: Callable[[FunctionType], Session | None]) -> None:
    """Exchange the code of every function there is for its twin in the session that *choose* returns for it, if any."""
    isolation.load()
    ours = {id(vars(module)) for module in isolation.own}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == __name__.partition(".")[0] and module is not None:
            ours.add(id(vars(module)))
    for thing in gc.get_objects():
        if type(thing) is FunctionType and id(thing.__globals__) not in ours:
            chosen = choose(thing)
            if chosen is not None:
                file = thing.__globals__.get("__file__")
                live = chosen.live_code(thing.__code__, file if isinstance(file, str) else None, lasting=True)
                if live is not thing.__code__:
                    thing.__code__ = live
    for used in _sessions.values():
        used.flush()


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
    frames = list(sys._current_frames().values())
    greenlet = sys.modules.get("greenlet")
    if greenlet is not None:
        greenlets = (thing for thing in gc.get_objects() if isinstance(thing, greenlet.greenlet))
        frames.extend(thing.gr_frame for thing in greenlets if thing.gr_frame is not None)
    return frames


_sessions: dict[str, Session] = {}


def session(where: str) -> Session:
    """Return this process's session with the placement *where*."""
    if where not in _sessions:
        _sessions[where] = Session(where)
    return _sessions[where]
