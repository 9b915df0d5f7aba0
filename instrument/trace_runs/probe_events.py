"""Probe events: the callables of probes and exit stubs, with the placements EVENTS and CALLS.

Such probes do not count. Each calls a callable of its own, which calls the listeners with the code object, the probe,
and the frame of the program.
"""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]
from _thread import get_ident
from sys import _getframe

from instrument.flow import placement_names
from instrument.guest.messages import say_once, text_of
from instrument.guest.program_errors import belongs_to_program
from instrument.link.unlinked_values import RefusedCode
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import Protocol

    from instrument.link.code_group import CodeGroup
    from instrument.link.recovery_info import RecoveryInfo
    from instrument.link.unlinked_values import UnlinkedValues
    from instrument.session.session import Session

    class Listener(Protocol):
        """Is called for the probes that fire and the exits that are taken."""

        def on_probe(self, code: RecoveryInfo, probe: int, frame: FrameType) -> None: ...
        def on_raise(self, code: RecoveryInfo, record: int, exception: BaseException, frame: FrameType) -> None: ...


class ProbeEvents:
    """Makes the callables of probes and exit stubs, and passes their calls on to `listeners`."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        #: Threads in a listener. Code that a listener runs itself raises no events.
        self._listening: set[int] = set()

    def of_group(
        self, group: CodeGroup, unlinked_codes: Sequence[UnlinkedValues | RefusedCode]
    ) -> tuple[list[object], list[object]]:
        """Return the callables for all probes, and those for all exits, of the linked *group*."""
        on_probes: list[object] = []
        on_exits: list[object] = []
        for number, unlinked in enumerate(unlinked_codes):
            if not isinstance(unlinked, RefusedCode):
                on_probes += [_Callback(self._on_probe, group, number, n) for n in range(unlinked.n_probes)]
                on_exits += [_Callback(self._on_raise, group, number, n) for n in range(unlinked.n_exits)]
        return on_probes, on_exits

    def _on_probe(self, group: CodeGroup, number: int, probe: int) -> None:
        # All that comes next may run code of the program: `sys._getframe` calls its audit hooks, for example.
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            event = self._code_and_frame(group, number)
            if event is not None:
                for listener in self.listeners:
                    listener.on_probe(event[0], probe, event[1])
        finally:
            self._listening.discard(thread)

    def _on_raise(self, group: CodeGroup, number: int, record: int, exception: BaseException) -> None:
        if (thread := get_ident()) in self._listening:
            return
        self._listening.add(thread)
        try:
            event = self._code_and_frame(group, number)
            if event is not None:
                for listener in self.listeners:
                    listener.on_raise(event[0], record, exception, event[1])
        finally:
            self._listening.discard(thread)

    @staticmethod
    def _code_and_frame(group: CodeGroup, number: int) -> tuple[RecoveryInfo, FrameType] | None:
        """Return the code and the frame of the caller's caller; None if an audit hook forbids to get the frame."""
        try:
            return group.recovery_info(number), _getframe(2)
        except BaseException as error:
            if belongs_to_program(error):
                raise
            say_once(f"not all is counted in this process: {text_of(error)}")
            return None


class _Callback(partial):  # type: ignore[misc]
    """The callable of a probe or an exit stub. If code is pickled by value, that of the copy has no effect."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        return _Callback, (_ignore_event,)


def _ignore_event(*arguments: object) -> None:
    """Do nothing, in place of an event."""


def session_for(placement: str) -> Session:
    """Return this process's session with *placement*; with EVENTS and CALLS, its probes call `ProbeEvents`."""
    return session(placement, ProbeEvents if placement in placement_names.CALLING else None)
