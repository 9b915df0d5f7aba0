"""Make live what is imported.

Modules come in as the import system executes them; their code goes on instrumented. Every loader of source, bytecode files and zip
archives executes a module by one method, `_LoaderBasics.exec_module`; while something is measured, ours stands in its
place. So finders, specs, loaders and `sys.meta_path` are those that the program would have without us, reloads and
`spec_from_file_location` are covered, and bytecode caches remain the interpreter's own.

The method calls itself a part of importlib: the interpreter takes importlib's frames out of tracebacks by their file name.
"""

from __future__ import annotations

from importlib import _bootstrap, _bootstrap_external  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType

    Instrumenter = Callable[[CodeType, dict[str, object]], CodeType]

_call_with_frames_removed = _bootstrap._call_with_frames_removed
_loader = _bootstrap_external._LoaderBasics
_original = _loader.exec_module
_instrumenters: list[Instrumenter] = []


def _instrumented(code: CodeType, module: ModuleType) -> CodeType:
    for instrumenter in _instrumenters:
        code = instrumenter(code, vars(module))
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
    """From now on, let *instrumenter* turn the code of every module that is imported, given its namespace."""
    _instrumenters.append(instrumenter)
    _loader.exec_module = exec_module


def uninstall(instrumenter: Instrumenter) -> None:
    """Undo one `install` of *instrumenter*."""
    _instrumenters.remove(instrumenter)
    if not _instrumenters:
        _loader.exec_module = _original
