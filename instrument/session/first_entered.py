"""Which of several modules of one name was entered first: it decides for all of them whether they are ignored.

Functions that are live and names of modules come in, the file of the first that was entered goes out. Counters say that
code ran, and not when. So for as long as it is open, functions of modules of both kinds run with counters that tell
when they are first moved on: `chain` takes the first step by way of a `map`, and all others from the counter itself,
which in both cases is moved on as ever. What is counted is the same, and costs next to nothing more.

Placed as they are, probes may come late in a function, after it has called others: the outermost of the frames on the
stack was entered first. A generator that was thrown into before it began passes none, but the stub where it is left.
"""

from __future__ import annotations

from _thread import get_ident
from _weakref import ref
from itertools import chain, islice, repeat
from sys import _getframe
from types import CodeType, FunctionType

from instrument.guest.messages import belongs_to_program
from instrument.link.counters import appended_constants, group_of
from instrument.scope.trace_ignore import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

#: What may stand for a counter in code: itself, or one that tells, of another measurement maybe.
_COUNTERS = (repeat, chain)


class FirstEntered:
    """Who is entered first from now on, by names of modules, in what the caller's caller calls."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._thread = get_ident()
        self._depth = len(_outwards(_getframe(2)))
        self._watches: list[_EntryWatch] = []

    def watch(self, name: str, functions: Iterable[FunctionType]) -> None:
        """Let *functions*, those of modules called *name*, tell when they are entered, until one was or until `end`."""
        watch = _watches.setdefault(name, _EntryWatch(name))
        self._watches.append(watch)
        watch.join(self, functions)

    def end(self) -> None:
        """Let functions run as before."""
        for watch in self._watches:
            watch.leave(self)

    def first_file(self, name: str) -> str | None:
        """Return the file of the module called *name* that was entered first, if one of those that are watched was."""
        return self._files.get(name)

    def first_running(self, name: str) -> str | None:
        """Return the file of the module called *name* that was entered first, of those that this thread is in now."""
        return self._outermost(name, _getframe(1))

    def notify_entered(self, name: str, frame: FrameType) -> bool:
        """Be told that a function of a module called *name* was entered, in *frame*; return whether that is enough."""
        if name not in self._files and (file := self._outermost(name, frame)) is not None:
            self._files.setdefault(name, file)
        return name in self._files

    def _outermost(self, name: str, frame: FrameType) -> str | None:
        frames = _outwards(frame)
        if get_ident() == self._thread:
            del frames[-self._depth :]
        found = None
        for each in frames:
            file = dict.get(each.f_globals, "__file__")
            if type(file) is str and module_name(file) == name:
                found = file
        return found


class _EntryWatch:
    """Functions of modules called *name* that tell when they are entered, for as long as anyone listens.

    No longer: where an exception leaves, an interrupt that comes while they tell is lost.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: list[FirstEntered] = []
        self._watched: list[tuple[ref[FunctionType], CodeType, CodeType]] = []

    def join(self, listener: FirstEntered, functions: Iterable[FunctionType]) -> None:
        """Let *functions* tell, and *listener* be told."""
        self._listeners.append(listener)
        telling = {id(code): code for _, _, code in self._watched}
        for function in functions:
            code = function.__code__
            if id(code) not in telling and (tail := appended_constants(code)) is not None:
                made = _notifying(code, group_of(tail[1]), self._entered)
                telling[id(code)] = telling[id(made)] = made
            if id(code) in telling and telling[id(code)] is not code:
                self._watched.append((ref(function), code, telling[id(code)]))
                function.__code__ = telling[id(code)]
        self._let_go()  # if that was told in the meantime

    def leave(self, listener: FirstEntered) -> None:
        """Tell *listener* no more."""
        try:
            self._listeners.remove(listener)
        except ValueError:  # it was told, and left
            pass
        self._let_go()

    def _entered(self, frame: FrameType | None) -> None:
        try:
            for listener in list(self._listeners):
                if listener.notify_entered(self._name, frame or _getframe(1)):
                    self.leave(listener)
        except BaseException as error:  # it is told by the next function
            if belongs_to_program(error):
                raise

    def _let_go(self) -> None:
        if self._listeners:
            return
        if _watches.get(self._name) is self:
            _watches.pop(self._name, None)
        watched, self._watched = self._watched, []
        for reference, code, telling in watched:
            function = reference()
            if function is not None and function.__code__ is telling:
                function.__code__ = code


#: By name.
_watches: dict[str, _EntryWatch] = {}


class _NotifyingKey(int):
    """The key of an exit that tells *entered* of the frame that an exception leaves, when it is added to the place."""

    _entered: Callable[[FrameType | None], None]

    def __radd__(self, place: int) -> int:
        self._entered(_getframe(1))
        return place + int(self)


def _notifying(code: CodeType, group: int, entered: Callable[[FrameType | None], None]) -> CodeType:
    constants: list[object] = []
    for constant in code.co_consts[:-1]:
        if type(constant) in _COUNTERS:
            constants.append(chain(map(entered, islice(constant, 1)), constant))
        elif type(constant) is int and group_of(constant) == group:
            key = _NotifyingKey(constant)
            key._entered = entered
            constants.append(key)
        else:
            constants.append(constant)
    return code.replace(co_consts=(*constants, code.co_consts[-1]))


def _outwards(frame: FrameType | None) -> list[FrameType]:
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames
