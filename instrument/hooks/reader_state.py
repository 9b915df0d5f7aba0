"""The state of the hooks of libraries that read bytecode (`hooks.bytecode_readers`)."""

from __future__ import annotations

from copyreg import pickle as register

from instrument.guest.process_state import ProcessState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, TypeAlias

    OriginalOf: TypeAlias = Callable[[CodeType], CodeType]
    GiveOut: TypeAlias = Callable[[CodeType, str], CodeType]


class _State(ProcessState):
    """The wrappers cannot be taken off again (`install`), so `wrappers` and `dispatch_table` survive a reset."""

    __slots__ = ("dispatch_table", "give_out", "original_of", "wrappers")

    def __init__(self) -> None:
        #: The functions that stand in for functions of readers.
        self.wrappers: list[object] = []
        #: The table of the program's `copyreg`: from types to the functions that reduce them.
        self.dispatch_table: dict[type, Any] = register.__globals__["dispatch_table"]
        super().__init__()

    def reset(self) -> None:
        #: Returns the original of a code object.
        self.original_of: OriginalOf = _unchanged
        #: Returns the original of a code object, and notes the name of its receiver.
        self.give_out: GiveOut = _unchanged


def _unchanged(code: CodeType, receiver: str = "") -> CodeType:
    return code


state = _State()


def named_like(original: Any, wrapper: Any) -> Any:
    """Return *wrapper* with name, docstring and module of *original*."""
    wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = original.__name__, original.__qualname__, original.__doc__
    wrapper.__module__ = original.__module__
    return wrapper
