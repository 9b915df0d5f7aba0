"""Make live what is imported, and what the program executes itself.

Modules come in as the import system executes them; their code goes on instrumented. Every loader of source, bytecode
files and zip archives executes a module by one method, `_LoaderBasics.exec_module`; while something is measured, ours
stands in its place. So finders, specs, loaders and `sys.meta_path` are those that the program would have without us,
reloads and `spec_from_file_location` are covered, and bytecode caches remain the interpreter's own.

The method calls itself a part of importlib: the interpreter takes importlib's frames out of tracebacks by their file
name.

Code that the program itself hands to `exec` or `eval`, to `types.FunctionType` or to `marshal` is exchanged just before
the call (rewrite.probes), so that none of our frames is on the stack while it runs.
"""

from __future__ import annotations
import __future__

import builtins
import marshal
from importlib import _bootstrap, _bootstrap_external
from sys import _getframe  # held: the program may do without
from types import BuiltinFunctionType, CodeType, FunctionType

from instrument.runtime.counters import pristine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Instrumenter = Callable[[CodeType, dict[str, object], bool], CodeType]

_call_with_frames_removed = _bootstrap._call_with_frames_removed  # type: ignore[attr-defined]
_loader = _bootstrap_external._LoaderBasics  # type: ignore[attr-defined]
_original = _loader.exec_module
_instrumenters: list[Instrumenter] = []


def _instrumented(code: CodeType, module: ModuleType) -> CodeType:
    for instrumenter in _instrumenters:
        code = instrumenter(code, vars(module), True)
    return code


def exec_module(self, module):  # type: ignore[no-untyped-def]
    """Execute the module."""
    code = self.get_code(module.__name__)
    if code is None:
        raise ImportError(f"cannot load module {module.__name__!r} when get_code() returns None")

    _call_with_frames_removed(exec, _instrumented(code, module), module.__dict__)


exec_module.__code__ = exec_module.__code__.replace(
    co_filename=_original.__code__.co_filename, co_firstlineno=_original.__code__.co_firstlineno
)
exec_module.__qualname__ = _original.__qualname__
exec_module.__module__ = _original.__module__


def install(instrumenter: Instrumenter) -> None:
    """From now on, let *instrumenter* turn the code of every module that is imported, and what is handed over.

    It is given the code, the namespace that it is to run in, and whether it is that of a module.
    """
    _instrumenters.append(instrumenter)
    _loader.exec_module = exec_module


def uninstall(instrumenter: Instrumenter) -> None:
    """Undo one `install` of *instrumenter*."""
    _instrumenters.remove(instrumenter)
    if not _instrumenters:
        _loader.exec_module = _original


# What programs hand over ##############################################################################################

_modes: dict[object, str] = {builtins.exec: "exec", builtins.eval: "eval"}
_marshal = (marshal.dumps, marshal.dump)
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
#: Code of source texts that were executed lately, so that a loop around `eval` rewrites its text once. It compiles it
#: each time, as it would without us: compiling may warn.
_compiled: dict[tuple[str | bytes, str, int], CodeType] = {}
_N_COMPILED = 512


def prepare(function: object, source: object, namespace: object) -> object:
    """Return what *function*, if it is one that takes code, is to take in place of *source*.

    `exec` and `eval` in *namespace*: what is to be executed, which is live if the namespace is that of a module that is
    measured. FunctionType: likewise, for code that may be live already but runs elsewhere now. `marshal`: the original,
    as live counters cannot be written.

    Without a namespace (None, or *function* in its place) it is that of the caller. What does not compile is left
    alone: executing it will say so.
    """
    if not _instrumenters:
        return source
    if function is FunctionType:
        mode = ""
    elif type(function) is not BuiltinFunctionType:
        return source
    elif function in _marshal:
        return _pristine(source)
    elif function in _modes:
        mode = _modes[function]
    else:
        return source
    caller = _getframe(1)
    if namespace is None or namespace is function:
        namespace = caller.f_globals
    if type(source) is CodeType:
        source = _pristine(source)
    elif type(source) in (str, bytes) and mode:
        source = _compile(source, mode, caller.f_code.co_flags & _FUTURE)  # type: ignore[arg-type]
    if type(source) is CodeType and isinstance(namespace, dict):
        for instrumenter in _instrumenters:
            source = instrumenter(source, namespace, False)
    return source


def _pristine(source: object) -> object:
    return pristine.get(id(source), source) if type(source) is CodeType else source


def _compile(source: str | bytes, mode: str, flags: int) -> CodeType | str | bytes:
    key = source, mode, flags
    text = source
    if mode == "eval":
        text = source.lstrip(" \t") if isinstance(source, str) else source.lstrip(b" \t")
    try:
        code = compile(text, "<string>", mode, flags, dont_inherit=True)
    except Exception:
        return source
    if len(_compiled) >= _N_COMPILED:
        _compiled.clear()
    return _compiled.setdefault(key, code)
