"""Forks of a program in C that embeds Python, of which Python is not told.

uWSGI is such a program: its master process loads the application and calls `fork()` for each worker. So the C library
is asked to call us. Before each fork our thread ends: it may hold the interpreter's lock, which would stay locked in
the child. After it the thread begins again in the parent. In the child nothing is called at once, for its only thread
may not be able to have the interpreter's lock. There a pending call precedes the first code of Python in the main
thread.

The C library must not call us when Python is no more. It forgets us at exit: we are known to it by a handle of our own,
as libraries are that can be unloaded. That is glibc's way, and other C libraries are left alone.
"""

from __future__ import annotations

from _functools import partial  # type: ignore[import-not-found]

from instrument.guest.isolation import import_isolated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: What the C library calls, the handle that it knows us by, and its function to forget us. It is never freed.
_kept: list[Any] = []


def watch(before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> bool:
    """Call *before* and *in_parent* at each `fork()`, and *in_child* before code of Python runs in the main thread of
    either process. Return whether the C library lets us.
    """
    if _kept:
        return True
    try:
        ctypes: Any = import_isolated("ctypes")
        library, python = ctypes.CDLL(None), ctypes.pythonapi
        register, forget = library["__register_atfork"], library["__cxa_finalize"]
    except (ImportError, AttributeError, OSError):
        return False

    def pending(_: object) -> int:
        in_child()
        return 0

    handler = ctypes.CFUNCTYPE(None)
    call = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(pending)
    add = python["Py_AddPendingCall"]
    add.argtypes = ctypes.c_void_p, ctypes.c_void_p
    # No bytecode runs behind this, which would be preceded by the pending call.
    add_pending = handler(partial(add, ctypes.cast(call, ctypes.c_void_p), None))
    handle = ctypes.create_string_buffer(8)
    register.argtypes = handler, handler, handler, ctypes.c_void_p
    # What is called before the fork is called in reverse order.
    handlers = [add_pending, handler(before), handler(in_parent)]
    _kept[:] = [forget, handle, call, handlers]
    none = handler()
    register(add_pending, none, none, handle)
    register(handlers[1], handlers[2], none, handle)
    return True


def watch_no_more() -> None:
    """Undo `watch`, for good: what the C library called is never called again."""
    if _kept:
        forget, handle = _kept[:2]
        forget(handle)
