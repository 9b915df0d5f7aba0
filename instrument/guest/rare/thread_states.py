"""Read the frames of the threads of this interpreter where `sys._current_frames` cannot: see `guest.interpreters`.

Newest frames go out. `ThreadStates` walks through the thread states of the interpreter, by the C API and `ctypes`.
`OnlyThread` serves interpreters that have one thread only.
"""

from __future__ import annotations

from _thread import _count
from gc import disable, enable, isenabled
from itertools import accumulate, chain, repeat, takewhile

from instrument.errors import InstrumentError
from instrument.guest.own_builtins import functions_of_sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_getframe = functions_of_sys["_getframe"]


class ThreadStates:
    """Reads frames from the thread states of this interpreter, by *ctypes*, a copy of that module."""

    def __init__(self, ctypes: Any) -> None:
        api, address = ctypes.pythonapi, ctypes.c_void_p

        def function(name: str, result: Any, *arguments: Any) -> Any:
            pointer = api[name]
            pointer.restype, pointer.argtypes = result, arguments
            return pointer

        self._interpreter = function("PyInterpreterState_Get", address)()
        self._first = function("PyInterpreterState_ThreadHead", address, address)
        self._next = function("PyThreadState_Next", address, address)
        self._frame = function("PyThreadState_GetFrame", address, address)
        self._release = function("Py_DecRef", None, address)
        self._address, self._object = address, ctypes.py_object

    def newest_frames(self, depth: int) -> list[FrameType]:
        """Return the newest frame of each thread: see the function of this name."""
        # No thread may end while the list of thread states is walked. So one C call, of `list`, walks it, with the
        # garbage collector off: no other thread gets the interpreter's lock. `accumulate` passes two arguments to
        # `PyThreadState_Next`; a C function ignores an argument that it does not know.
        first = map(self._first, (self._interpreter,))
        states = takewhile(bool, accumulate(chain(first, repeat(0)), self._next))
        references = filter(None, map(self._frame, states))
        collects = isenabled()
        if collects:
            disable()
        try:
            addresses = list(references)
        finally:
            if collects:
                enable()
        frames: list[Any] = [self._object.from_buffer(self._address(address)).value for address in addresses]
        any(map(self._release, addresses))
        frames[frames.index(_getframe())] = _getframe(depth + 1)
        return frames


class OnlyThread:
    """Reads the frames of this interpreter if it has one thread only."""

    def newest_frames(self, depth: int) -> list[FrameType]:
        """Return a list with the newest frame of this thread: see the function of this name."""
        if _count():
            raise InstrumentError("the frames of other threads in this interpreter cannot be had without ctypes")
        return [_getframe(depth + 1)]
