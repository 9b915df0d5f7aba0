"""Which of several modules of one name was entered first: it decides for all of them whether they are ignored.

Functions that are live and names of modules come in, the file of the first that was entered goes out. Counters say that
code ran, and not when. So for as long as it is open, functions of modules of both kinds run with counters that tell
when they are first moved on: `chain` takes the first step by way of a `map`, and all others from the counter itself,
which in both cases is moved on as ever. What is counted is the same, and costs next to nothing more.

Placed as they are, probes may come late in a function, after it has called others: the outermost of the frames on the
stack was entered first.
"""

from __future__ import annotations

from _thread import get_ident
from _weakref import ref
from functools import partial
from itertools import chain, islice, repeat
from sys import _getframe
from types import CodeType, FunctionType

from instrument.runtime.counters import tail_of
from instrument.runtime.selection import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

#: What may stand for a counter in code: itself, or one that tells, of another measurement maybe.
_COUNTERS = (repeat, chain)


class Precedence:
    """Who is entered first from now on, by names of modules, in what the caller's caller calls."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._thread = get_ident()
        self._depth = len(_outwards(_getframe(2)))
        self._watched: list[tuple[ref[FunctionType], CodeType, CodeType]] = []

    def watch(self, name: str, functions: Iterable[FunctionType]) -> None:
        """Let *functions*, those of modules called *name*, tell when they are entered, until `end`."""
        entered = partial(self._entered, name)
        telling: dict[int, CodeType] = {}
        for function in functions:
            code = function.__code__
            if id(code) not in telling and tail_of(code) is not None:
                telling[id(code)] = _telling(code, entered)
            if id(code) in telling:
                self._watched.append((ref(function), code, telling[id(code)]))
                function.__code__ = telling[id(code)]

    def end(self) -> None:
        """Let functions run as before."""
        watched, self._watched = self._watched, []
        for reference, code, telling in watched:
            function = reference()
            if function is not None and function.__code__ is telling:
                function.__code__ = code

    def told(self, name: str) -> str | None:
        """Return the file of the module called *name* that was entered first, if one of those that are watched was."""
        return self._files.get(name)

    def running(self, name: str) -> str | None:
        """Return the file of the module called *name* that was entered first, of those that this thread is in now."""
        return self._outermost(name, _getframe(1))

    def _entered(self, name: str, moved_on: None) -> None:
        if name not in self._files and (file := self._outermost(name, _getframe(1))) is not None:
            self._files.setdefault(name, file)

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


def _telling(code: CodeType, entered: Callable[[None], None]) -> CodeType:
    constants = [
        chain(map(entered, islice(constant, 1)), constant) if type(constant) in _COUNTERS else constant
        for constant in code.co_consts
    ]
    return code.replace(co_consts=tuple(constants))


def _outwards(frame: FrameType | None) -> list[FrameType]:
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames
