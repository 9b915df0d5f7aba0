"""Probe events: the callables of probes and exit stubs, with the placements EVENTS and CALLS.

Such probes do not count. Each calls a callable, which calls the listeners. They get the frame of the program, the key
of its live code object, and the number of the probe in it.

Decision: all code shares the callables, one for each number.
    Problem: a callable of its own for each probe and exit stub made three objects. `Trace` asks the garbage collector
    for the class of each function, as `trace` does, and that traverses all objects.
    [3.12, the functions of an asyncio program: 87,000 objects and 13 s; 30,000 and 5 s if they are shared]
    Solution: the frame of the caller has the code object.
"""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]
from _thread import get_ident
from sys import _getframe

from instrument.flow import placement_names
from instrument.guest.messages import say_once, text_of
from instrument.guest.program_errors import belongs_to_program
from instrument.link.linker import appended_constants
from instrument.link.unlinked_values import RefusedCode
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Protocol

    from instrument.link.unlinked_values import UnlinkedValues
    from instrument.session.session import Session

    class Listener(Protocol):
        """Is called for the probes that fire and the exits that are taken in *frame*.

        *key* is the first key of the live code object that runs there.
        """

        def on_probe(self, key: int, probe: int, frame: FrameType) -> None: ...
        def on_raise(self, key: int, record: int, exception: BaseException, frame: FrameType) -> None: ...


class ProbeEvents:
    """Makes the callables of probes and exit stubs, and passes their calls on to `listeners`."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        #: Threads in a listener. Code that a listener runs itself raises no events.
        self._listening: set[int] = set()
        #: The callables of the probes, and those of the exits, by their number in a code object.
        self._on_probes: dict[int, _Callback] = {}
        self._on_exits: dict[int, _Callback] = {}

    def of_codes(
        self, unlinked_codes: Sequence[UnlinkedValues | RefusedCode]
    ) -> tuple[list[_Callback], list[_Callback]]:
        """Return the callables for all probes, and those for all exits, of *unlinked_codes*."""
        on_probes: list[_Callback] = []
        on_exits: list[_Callback] = []
        for unlinked in unlinked_codes:
            if not isinstance(unlinked, RefusedCode):
                on_probes += _first(unlinked.n_probes, self._on_probes, self._on_probe)
                on_exits += _first(unlinked.n_exits, self._on_exits, self._on_raise)
        return on_probes, on_exits

    def _on_probe(self, probe: int) -> None:
        # All that comes next may run code of the program: `sys._getframe` calls its audit hooks, for example.
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            event = _key_and_frame()
            if event is not None:
                for listener in self.listeners:
                    listener.on_probe(event[0], probe, event[1])
        finally:
            self._listening.discard(thread)

    def _on_raise(self, record: int, exception: BaseException) -> None:
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            event = _key_and_frame()
            if event is not None:
                for listener in self.listeners:
                    listener.on_raise(event[0], record, exception, event[1])
        finally:
            self._listening.discard(thread)


def _key_and_frame() -> tuple[int, FrameType] | None:
    """Return the frame of the caller's caller, and the first key of the live code object that runs there.

    Return None if an audit hook forbids to get them, or if no live code runs there.
    """
    try:
        frame = _getframe(2)
        constants = appended_constants(frame.f_code)
    except BaseException as error:
        if belongs_to_program(error):
            raise
        say_once(f"not all is counted in this process: {text_of(error)}")
        return None
    return None if constants is None else (constants[1], frame)


class _Callback(partial):  # type: ignore[misc]
    """The callable of a probe or an exit stub. If code is pickled by value, that of the copy has no effect."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        return _Callback, (_ignore_event,)


def _ignore_event(*arguments: object) -> None:
    """Do nothing, in place of an event."""


def _first(n: int, callbacks: dict[int, _Callback], function: Callable[..., None]) -> list[_Callback]:
    """Return the first *n* of *callbacks*; each calls *function* with its number. Missing ones are added.

    Another thread may add some at the same time.
    """
    return [callbacks.get(number) or callbacks.setdefault(number, _Callback(function, number)) for number in range(n)]


def session_for(placement: str) -> Session:
    """Return this process's session with *placement*; with EVENTS and CALLS, its probes call `ProbeEvents`."""
    return session(placement, ProbeEvents if placement in placement_names.CALLING else None)
