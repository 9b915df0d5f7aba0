"""Calls the handlers of a `Trace` as the interpreter calls a trace function: at each call, and before each line.

Probe events come in (`trace_runs.probe_events`). They go out as calls of `Trace.globaltrace`, and of the handler of
lines that it returns.
"""

from __future__ import annotations

from instrument.flow import placement_names
from instrument.flow.plan import ExitKind
from instrument.rewrite.unlinked import TracebackOf
from instrument.session.registry import live_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any, Protocol

    from instrument.link.recovery_info import RecoveryInfo

    class Tracer(Protocol):
        """Has the handler of calls; it returns the handler of lines, or None."""

        globaltrace: Callable[[FrameType, str, object], Callable[..., object] | None]


_traceback_of = TracebackOf()


class _LineFrame:
    """A frame of the program at the moment of a line event. Its line is that of the event."""

    __slots__ = ("_frame", "f_code", "f_lineno")

    def __init__(self, frame: FrameType, line: int) -> None:
        self._frame = frame
        self.f_code: CodeType = frame.f_code
        self.f_lineno = line

    @property
    def f_back(self) -> FrameType | None:
        """The frame of the caller."""
        return self._frame.f_back

    @property
    def f_globals(self) -> dict[str, Any]:
        """The globals of the program's frame."""
        return self._frame.f_globals


class LineHandlers:
    """Calls the handlers of *tracer* for probe events of code with *placement*; a listener of `ProbeEvents`."""

    def __init__(self, tracer: Tracer, placement: str) -> None:
        self._tracer = tracer
        #: With the placement CALLS each probe stands for a call, and no Plan need be unpacked.
        self._has_lines = placement == placement_names.EVENTS
        #: By the first key of the code object.
        self._infos: dict[int, RecoveryInfo] = {}
        #: The handler of lines for each code object that was called, by its first key; None if its lines are not to be
        #: handled.
        self._handlers: dict[int, Callable[..., object] | None] = {}

    def on_probe(self, key: int, probe: int, frame: FrameType) -> None:
        """Handle the call, the line events, or both, that *probe* of the code object with *key* stands for."""
        if not self._has_lines:
            self._handle(key, frame, True, ())
            return
        info = self._infos.get(key) or self._unpacked_info(key, frame.f_code)
        if info is not None:
            self._handle(key, frame, *info.plan.measured_by_probe[probe])  # type: ignore[misc]

    def on_raise(self, key: int, record: int, exception: BaseException, frame: FrameType) -> None:
        """Handle the line event at which *exception* left a block.

        If a generator is entered by an exception that is thrown into it, handle the call, too.
        """
        info = self._infos.get(key) or self._unpacked_info(key, frame.f_code)
        if info is None:
            return
        plan = info.plan
        entry, kind = plan.exits[record]
        index, lost_line = info.place_at(_traceback_of[exception].tb_lasti >> 1)
        is_call = kind == ExitKind.RAISED and index in plan.resumed
        lines: tuple[int, ...] = ()
        if entry >= 0 and self._has_lines:
            _, line, eventless_sources = plan.entries[entry]
            if kind == ExitKind.RESTORED:
                lost_line = lost_line and index not in plan.raised_again[entry]
                eventless_sources = plan.eventless_sources[entry]
            if line is not None and (lost_line or index not in eventless_sources):
                lines = (line,)
        if is_call or lines:
            self._handle(key, frame, is_call, lines)

    def _handle(self, key: int, frame: FrameType, is_call: bool, lines: tuple[int, ...]) -> None:
        """Call the handlers for *frame*, of the code object with the first key *key*."""
        if is_call:
            self._handlers[key] = self._tracer.globaltrace(frame, "call", None)
        handler = self._handlers.get(key)
        if handler is not None:
            for line in lines:
                handler(_LineFrame(frame, line), "line", None)

    def _unpacked_info(self, key: int, code: CodeType) -> RecoveryInfo | None:
        """Return the RecoveryInfo of the live *code* with the first key *key*; None if the code was retired.

        The program does not run retired code.
        """
        place = live_place(code)
        if place is None:
            return None
        info = self._infos[key] = place.group.recovery_info(place.index())
        return info
