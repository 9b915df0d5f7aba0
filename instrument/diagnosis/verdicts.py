"""Decides whether a file, a module or a main program is measured, and says why.

Input: a file or a name, the scope, and a search path. Output: a `Verdict`. Code is compiled and rewritten for it, and
never executed.
"""

from __future__ import annotations

import marshal
import os
import warnings
from importlib.util import MAGIC_NUMBER
from typing import NamedTuple

from instrument.analysis.source_file import read_source
from instrument.config import PLACEMENT
from instrument.config.values import is_path
from instrument.diagnosis.module_search import find_module, name_of_file
from instrument.diagnosis.python_arguments import ProgramKind
from instrument.errors import InstrumentWarning
from instrument.guest import isolation
from instrument.scope.project import Scope
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.config import Settings
    from instrument.diagnosis.python_arguments import PythonCommand

#: The limit of the README that concerns main programs without a source file.
_LIMIT = "README, limit main-program"


class Verdict(NamedTuple):
    """Whether something is measured, and why. `is_measured` is None if it cannot be found."""

    is_measured: bool | None
    reason: str

    def __str__(self) -> str:
        words = {True: "measured", False: "not measured", None: "not found"}
        return f"{words[self.is_measured]}: {self.reason}"


def verdict_on_target(target: str, scope: Scope, search_path: list[str]) -> Verdict:
    """Return the verdict on *target*, the path of a file or folder, or the name of a module in *search_path*."""
    if is_path(target) or (os.path.exists(target) and find_module(target, search_path) is None):
        return _verdict_on_path(os.path.abspath(target), scope, search_path)
    spec = find_module(target, search_path)
    if spec is None:
        return Verdict(
            None,
            "sys.path of a program in this folder has no module of this name. A program in another folder finds the "
            "modules beside it: `instrument debug -- python FILE` searches where that program does",
        )
    if spec.origin in ("built-in", "frozen") or spec.origin is None:
        reasons = {"built-in": "it is built into the interpreter", "frozen": "it is frozen into the interpreter"}
        return Verdict(False, reasons.get(spec.origin or "", "it is a namespace package, which has no code of its own"))
    return _verdict_on_file(target, spec.origin, scope, target)


def _verdict_on_path(path: str, scope: Scope, search_path: list[str]) -> Verdict:
    """Return the verdict on the file or package folder *path*, under the name that *search_path* gives it."""
    if os.path.isdir(path):
        names = [name for name in ("__init__.py", "__main__.py") if os.path.isfile(os.path.join(path, name))]
        if not names:
            return Verdict(None, f"{path} is a folder; name a file or a module in it")
        path = os.path.join(path, names[0])
    if not os.path.isfile(path):
        return Verdict(None, f"there is no file {path}")
    name = name_of_file(path, search_path)
    return _verdict_on_file(name, path, scope, name)


def verdict_on_main_program(command: PythonCommand, settings: Settings, search_path: list[str]) -> Verdict:
    """Return the verdict on the main program of *command* itself; its imports are judged one by one."""
    if command.kind is ProgramKind.CODE:
        return Verdict(False, f"it is given by -c, from no file ({_LIMIT})")
    if command.kind is ProgramKind.INPUT:
        return Verdict(False, f"it is read from standard input, from no file ({_LIMIT})")
    if command.kind is ProgramKind.MODULE:
        return _verdict_on_main_module(command.program, settings, search_path)
    path = os.path.abspath(command.program)
    if command.kind is ProgramKind.ARCHIVE:
        return _verdict_on_archive(path, Scope(settings.scope, "__main__"))
    if not os.path.exists(path):
        return Verdict(None, f"there is no file {path}")
    if not os.path.isfile(path):
        return Verdict(False, "it is no regular file, so only the interpreter reads it")
    if path.endswith(".pyc"):
        return Verdict(False, f"it is a file of bytecode; run its source instead ({_LIMIT})")
    if command.skips_first_line:
        return Verdict(False, "its first line is skipped (-x)")
    name = os.path.basename(path).removesuffix(".py")
    return _verdict_on_file("__main__", path, Scope(settings.scope, name), "__main__")


def _verdict_on_main_module(name: str, settings: Settings, search_path: list[str]) -> Verdict:
    """Return the verdict on the module *name* as the main program, or on the `__main__` of the package *name*."""
    spec = find_module(name, search_path)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = find_module(name, search_path)
    if spec is not None and spec.origin == "frozen":
        return Verdict(False, "it is frozen into the interpreter")
    if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
        return Verdict(None, f"there is no module {name} to run")
    return _verdict_on_file("__main__", spec.origin, Scope(settings.scope, name), name)


def _verdict_on_archive(path: str, scope: Scope) -> Verdict:
    """Return the verdict on the `__main__` in the folder or archive *path*."""
    main = os.path.join(path, "__main__.py")
    if not os.path.isdir(path):
        return Verdict(scope.selects("__main__", main), f"{scope.explain('__main__', main)} ({main})")
    if not os.path.isfile(main) and os.path.isfile(f"{main}c"):
        main += "c"
    if not os.path.isfile(main):
        return Verdict(None, f"there is no {main}")
    return _verdict_on_file("__main__", main, scope, None)


def _verdict_on_file(name: str | None, path: str, scope: Scope, shown_name: str | None) -> Verdict:
    """Return the verdict on the module *name* of the file *path*; the reason calls it *shown_name*."""
    details = path + (f", as {shown_name}" if shown_name else "")
    source = path
    if path.endswith(".pyc"):
        compiled_from = _source_of_bytecode(path)
        if compiled_from is None:
            return Verdict(False, f"it is bytecode that this Python cannot read ({details})")
        source = compiled_from
        details = f"{details}, compiled from {source}"
    is_selected, reason = scope.selects(name, source), scope.explain(name, source)
    if is_selected and source == path:
        trouble = _why_not_rewritten(path, is_main=name == "__main__")
        is_selected, reason = trouble is None, trouble or reason
    return Verdict(is_selected, f"{reason} ({details})")


def _source_of_bytecode(path: str) -> str | None:
    """Return the source that the bytecode file *path* was compiled from; None if this Python cannot read the file."""
    try:
        data = read_source(path)
        code = marshal.loads(data[16:]) if data[:4] == MAGIC_NUMBER else None
    except (OSError, ValueError, EOFError, TypeError):
        return None
    name = getattr(code, "co_filename", None)
    return os.path.abspath(name) if isinstance(name, str) else None


def _why_not_rewritten(path: str, *, is_main: bool = False) -> str | None:
    """Return why the file *path* cannot be measured; None if it can. A main program may have any file name."""
    if not is_main and not path.endswith((".py", ".pyw")) and "." in os.path.basename(path):
        return "it is no Python source"
    try:
        source = read_source(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"it cannot be compiled: {error}"
    isolation.load()
    live_code = session(PLACEMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InstrumentWarning)
        live_code.instrument_exec_code(code, path)
    reason = live_code.not_measured.get(path) or live_code.not_measured.get("<all>")
    return None if reason is None else f"it cannot be rewritten: {reason}"
