"""Finds out which of several modules of one bare name was entered first: it decides whether all are ignored.

Live functions and bare names of modules come in; the file of the first module that was entered goes out.

Problem: counters say that code ran, and not when.
Solution: while the order matters, functions of such modules run a copy of their code, which notifies of the entry. In
place of each counter it has a `chain`: the first step is a `map` that notifies, all others come from the counter
itself. The counter moves on as ever, at almost no extra cost.

A probe may come late in a function, after calls of other functions. So a notice asks which module has the outermost
frame on the stack. If an exception is thrown into a generator before it began, no probe fires, but an exit stub runs.
So the keys of exits notify, too.
"""

from __future__ import annotations

from _thread import get_ident
from _weakref import ref
from itertools import chain, islice, repeat
from sys import _getframe
from types import CodeType, FunctionType

from instrument.guest.process_state import ProcessState
from instrument.guest.program_errors import belongs_to_program
from instrument.link.code_group import group_of
from instrument.link.linker import appended_constants
from instrument.rewrite.unlinked import FIRST_KEY
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

#: The types of counters in code: plain ones, and chains that this or another run has put in their place.
_COUNTER_TYPES = (repeat, chain)


class FirstEntered:
    """The first module of each bare name that is entered from now on, in calls by the caller's caller."""

    def __init__(self) -> None:
        #: By bare name.
        self._files: dict[str, str] = {}
        self._thread = get_ident()
        self._depth = len(_frames_from(_getframe(2)))
        self._notices: list[_EntryNotices] = []

    def observe(self, name: str, functions: Iterable[FunctionType]) -> None:
        """Report the first entry into any of *functions*, of modules called *name*. Stop after that, or at `end`."""
        notices = _state.notices_by_name.setdefault(name, _EntryNotices(name))
        self._notices.append(notices)
        notices.join(self, functions)

    def end(self) -> None:
        """Stop all reports."""
        for notices in self._notices:
            notices.leave(self)

    def first_file(self, name: str) -> str | None:
        """Return the file of the first module called *name* that an observed function entered; None if none did."""
        return self._files.get(name)

    def first_running(self, name: str) -> str | None:
        """Return the file of the first module called *name* that this thread is in now; None if it is in none."""
        return self._outermost_file(name, _getframe(1))

    def notify_entered(self, name: str, frame: FrameType) -> bool:
        """Note that a function of a module called *name* runs in *frame*. Return whether the first file is known."""
        if name not in self._files and (file := self._outermost_file(name, frame)) is not None:
            self._files.setdefault(name, file)
        return name in self._files

    def _outermost_file(self, name: str, frame: FrameType) -> str | None:
        """Return the file of the outermost frame, from *frame* on, of a module called *name*; None if there is none."""
        frames = _frames_from(frame)
        if get_ident() == self._thread:
            del frames[-self._depth :]  # they were entered before
        outermost = None
        for each in frames:
            file = dict.get(each.f_globals, "__file__")
            if type(file) is str and module_name(file) == name:
                outermost = file
        return outermost


class _EntryNotices:
    """The functions of modules called *name* that notify when they are entered.

    Their code is restored as soon as no `FirstEntered` needs the notice. If an exception leaves such a function, then a
    KeyboardInterrupt during the notice is swallowed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: list[FirstEntered] = []
        #: Functions, their code, and the code that notifies.
        self._observed: list[tuple[ref[FunctionType], CodeType, CodeType]] = []

    def join(self, listener: FirstEntered, functions: Iterable[FunctionType]) -> None:
        """Notify *listener* when any of *functions*, or any function in here already, is entered."""
        self._listeners.append(listener)
        notifying = {id(code): code for _, _, code in self._observed}  # by identity of the code that it replaces
        for function in functions:
            code = function.__code__
            if id(code) not in notifying and (constants := appended_constants(code)) is not None:
                replacement = _notifying_code(code, group_of(constants[1]), self._on_entry)
                notifying[id(code)] = notifying[id(replacement)] = replacement
            if id(code) in notifying and notifying[id(code)] is not code:
                self._observed.append((ref(function), code, notifying[id(code)]))
                function.__code__ = notifying[id(code)]
        self._restore_if_unneeded()  # the entry may have been reported meanwhile

    def leave(self, listener: FirstEntered) -> None:
        """Notify *listener* no more."""
        try:
            self._listeners.remove(listener)
        except ValueError:  # it got its notice, and left then
            pass
        self._restore_if_unneeded()

    def _on_entry(self, frame: FrameType | None) -> None:
        """Notify all listeners that a function runs in *frame*; None stands for the caller's frame."""
        try:
            for listener in list(self._listeners):
                if listener.notify_entered(self._name, frame or _getframe(1)):
                    self.leave(listener)
        except BaseException as error:  # the next function that is entered notifies again
            if belongs_to_program(error):
                raise

    def _restore_if_unneeded(self) -> None:
        if self._listeners:
            return
        if _state.notices_by_name.get(self._name) is self:
            _state.notices_by_name.pop(self._name, None)
        watched, self._observed = self._observed, []
        for reference, code, notifying in watched:
            function = reference()
            if function is not None and function.__code__ is notifying:
                function.__code__ = code


class _State(ProcessState):
    """The notices that some `FirstEntered` needs, by bare name."""

    __slots__ = ("notices_by_name",)
    notices_by_name: dict[str, _EntryNotices]

    def reset(self) -> None:
        """Forget all notices."""
        self.notices_by_name = {}


_state = _State()


class _NotifyingKey(int):
    """The key of an exit, which notifies with the frame that the exception leaves: exit stubs add it to a place."""

    on_entry: Callable[[FrameType | None], None]

    def __radd__(self, place: int) -> int:
        self.on_entry(_getframe(1))
        return place + int(self)


def _notifying_code(code: CodeType, group: int, on_entry: Callable[[FrameType | None], None]) -> CodeType:
    """Return a copy of *code*, which is live in the *group* with this number, that calls *on_entry* at each probe.

    A probe calls it the first time only.
    """
    constants: list[object] = []
    for constant in code.co_consts[:FIRST_KEY]:
        if type(constant) in _COUNTER_TYPES:
            constants.append(chain(map(on_entry, islice(constant, 1)), constant))
        elif type(constant) is int and group_of(constant) == group:
            key = _NotifyingKey(constant)
            key.on_entry = on_entry
            constants.append(key)
        else:
            constants.append(constant)
    return code.replace(co_consts=(*constants, code.co_consts[FIRST_KEY]))


def _frames_from(frame: FrameType | None) -> list[FrameType]:
    """Return *frame* and all frames outside of it, innermost first."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames
