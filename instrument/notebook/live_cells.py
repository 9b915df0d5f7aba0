"""Makes the code of cells live.

Code objects of cells come in, and their twins go out. Two ways lead to live code:
- A measurement makes the functions of earlier cells live: it exchanges their code, as `counting` does.
- Generators and coroutines may be suspended in one cell, and go on in a measured one. A frame keeps its code object.
  So functions of this kind are live as soon as the extension is loaded, and later ones as soon as their cell runs.

All other cells run as they are. Code that was made live stays so, until the extension is unloaded. Generators that were
suspended when the extension was loaded are never live; `uncounted` names them.
"""

from __future__ import annotations

import sys
from _operator import is_
from gc import get_referrers
from itertools import chain, compress, repeat, tee
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from weakref import ref

from instrument.flow import placement_names
from instrument.guest.messages import say_once, text_of
from instrument.guest.program_errors import belongs_to_program
from instrument.hooks import bytecode_readers, imports
from instrument.session.existing_functions import restore_all_functions
from instrument.session.garbage_collector import instances_of
from instrument.session.originals import give_out, original_of
from instrument.session.registry import is_live
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

    from instrument.notebook.cells import Cells

#: The flags of code objects whose frames can be suspended: generators, coroutines, and generators of coroutines.
_CAN_SUSPEND = 0x20 | 0x80 | 0x200
#: The beginnings of the names of their attributes, by type.
_ATTRIBUTES: dict[type, str] = {GeneratorType: "gi", CoroutineType: "cr", AsyncGeneratorType: "ag"}


class LiveCells:
    """Makes the code of *cells* live, in the session that `counting` uses, too."""

    def __init__(self, cells: Cells) -> None:
        self.session = session(placement_names.MINIMAL)
        self._cells = cells
        self._n_modules = 0
        #: Generators and coroutines that were suspended when the extension was loaded.
        self._suspended: list[ref[Any]] = []

    def prepare(self) -> None:
        """Make existing functions of cells live whose frames can be suspended, and note the suspended frames."""
        self._suspended = [
            ref(each) for each in instances_of([*_ATTRIBUTES]) if self._cells.is_cell(_code_of(each).co_filename)
        ]
        self._exchange(lambda code: _can_be_suspended(code) or any(map(_can_be_suspended, _nested(code))))

    def live(self, code: CodeType) -> CodeType:
        """Return the twin of *code*, that of a cell or of a function; *code* itself if it cannot be rewritten."""
        try:
            self._adapt_readers()
            return self.session.instrument_exec_code(code, self._cells.module_file())
        except BaseException as error:
            if belongs_to_program(error):
                raise
            self.session.not_measured.setdefault(code.co_filename, text_of(error))
            say_once(f"not all cells are counted: {text_of(error)}")
            return code

    def live_if_suspendable(self, code: CodeType) -> CodeType:
        """Return the twin of *code*, of a cell, if a function in it can be suspended; else *code* itself."""
        return self.live(code) if any(map(_can_be_suspended, _nested(code))) else code

    def exchange_functions(self) -> None:
        """Make all functions of earlier cells live."""
        self._exchange(lambda code: True)

    def _exchange(self, is_chosen: Callable[[CodeType], bool]) -> None:
        """Make the functions of cells live whose code *is_chosen*."""
        for function in _functions_in(self._cells.namespace()):
            code = function.__code__
            if not is_live(code) and self._cells.is_cell(code.co_filename) and is_chosen(code):
                twin = self.live(code)
                if function.__code__ is code:
                    function.__code__ = twin

    def uncounted(self) -> list[tuple[str, str]]:
        """Return code of cells that has begun, and is not live: file names and qualified names, without duplicates."""
        codes = [frame.f_code for frame in _frames_of_others() if frame.f_globals is self._cells.namespace()]
        for reference in self._suspended:
            each = reference()
            if each is not None and getattr(each, f"{_ATTRIBUTES[type(each)]}_frame") is not None:
                codes.append(_code_of(each))
        return sorted(
            {
                (code.co_filename, code.co_qualname)
                for code in codes
                if not is_live(code) and self._cells.is_cell(code.co_filename)
            }
        )

    def restore(self) -> None:
        """Give the functions of cells their originals back, unless another measurement needs the live code."""
        if self.session.is_permanent or self.session.readers or imports.n_instrumenters():
            return
        restore_all_functions(self.session)

    def _adapt_readers(self) -> None:
        """Have libraries that read bytecode get originals: new ones may have been imported since the last call."""
        if len(sys.modules) != self._n_modules:
            self._n_modules = len(sys.modules)
            bytecode_readers.install(original_of, give_out)


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Yield the code objects that are nested in *code*."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _can_be_suspended(code: CodeType) -> bool:
    return bool(code.co_flags & _CAN_SUSPEND)


def _code_of(suspended: Any) -> CodeType:
    """Return the code object of the generator or coroutine *suspended*."""
    code: CodeType = getattr(suspended, f"{_ATTRIBUTES[type(suspended)]}_code")
    return code


def _functions_in(namespace: dict[str, Any]) -> list[FunctionType]:
    """Return all functions whose global variables are *namespace*.

    `get_referrers` takes a small part of the time of a search among all objects. Other threads must not run while its
    results are held, see `instances_of`, so `list` does everything in one call.
    """
    referrers, types = tee(chain.from_iterable(map(get_referrers, (namespace,))))
    functions: list[FunctionType] = list(compress(referrers, map(is_, map(type, types), repeat(FunctionType))))
    return [function for function in functions if function.__globals__ is namespace]


def _frames_of_others() -> Iterator[FrameType]:
    """Yield the frames of all other threads."""
    own = sys._getframe()
    for newest in sys._current_frames().values():
        frame: FrameType | None = newest
        while frame is not None and newest is not own:
            yield frame
            frame = frame.f_back
