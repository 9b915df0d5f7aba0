"""Finds out which of several modules of one bare name was entered first: it decides whether all are ignored.

Live functions and bare names of modules come in; the file of the first module that was entered goes out.

Problem: counters say that code ran, and not when.
Solution: while the order matters, functions of such modules run a copy of their code, which notifies of the entry. In
place of each counter it has a `chain`: the first step is a `map` that notifies, all others come from the counter
itself. The counter moves on as ever, at almost no extra cost.

A probe may come late in a function, after calls of other functions. So a notice asks which module has the outermost
frame on the stack. A generator that is thrown into before it began passes no probe, but the exit stub where it is left,
so the keys of exits notify, too.
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
from instrument.rewrite.constant_layout import FIRST_KEY
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

#: The types of what code may have in place of a counter: itself, or a chain of this or of another run.
_COUNTER_TYPES = (repeat, chain)


class FirstEntered:
    """The first module of each bare name that is entered from now on, in calls by the caller's caller."""

    def __init__(self) -> None:
        #: By bare name.
        self._files: dict[str, str] = {}
        self._thread = get_ident()
        self._depth = len(_frames_from(_getframe(2)))
        self._watches: list[_EntryWatch] = []

    def watch(self, name: str, functions: Iterable[FunctionType]) -> None:
        """Report the first entry into any of *functions*, of modules called *name*. Stop after that, or at `end`."""
        watch = _state.watches.setdefault(name, _EntryWatch(name))
        self._watches.append(watch)
        watch.join(self, functions)

    def end(self) -> None:
        """Stop all reports."""
        for watch in self._watches:
            watch.leave(self)

    def first_file(self, name: str) -> str | None:
        """Return the file of the first module called *name* that a watched function entered; None if none did."""
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


class _EntryWatch:
    """The functions of modules called *name* that notify when they are entered.

    Their code is restored as soon as no `FirstEntered` needs the notice: if an exception leaves such a function, a
    KeyboardInterrupt during the notice would be swallowed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: list[FirstEntered] = []
        #: Functions, their code, and the code that notifies.
        self._watched: list[tuple[ref[FunctionType], CodeType, CodeType]] = []

    def join(self, listener: FirstEntered, functions: Iterable[FunctionType]) -> None:
        """Notify *listener* when any of *functions*, or of those that are watched already, is entered."""
        self._listeners.append(listener)
        notifying = {id(code): code for _, _, code in self._watched}  # by identity of the code that it replaces
        for function in functions:
            code = function.__code__
            if id(code) not in notifying and (constants := appended_constants(code)) is not None:
                replacement = _notifying_code(code, group_of(constants[1]), self._on_entry)
                notifying[id(code)] = notifying[id(replacement)] = replacement
            if id(code) in notifying and notifying[id(code)] is not code:
                self._watched.append((ref(function), code, notifying[id(code)]))
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
        if _state.watches.get(self._name) is self:
            _state.watches.pop(self._name, None)
        watched, self._watched = self._watched, []
        for reference, code, notifying in watched:
            function = reference()
            if function is not None and function.__code__ is notifying:
                function.__code__ = code


class _State(ProcessState):
    """The watches that some `FirstEntered` needs, by bare name."""

    __slots__ = ("watches",)
    watches: dict[str, _EntryWatch]

    def reset(self) -> None:
        """Forget all watches."""
        self.watches = {}


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
