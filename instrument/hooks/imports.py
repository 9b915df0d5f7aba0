"""Hooks the import system: the code of each module that is executed passes through the installed instrumenters.

An `Instrumenter` comes in. For each module that a loader executes, it gets the module's code and returns live code.
It does the same for code that the program passes to `exec` and the like (`hooks.exec_calls`).

Problem: finders, specs, loaders, `sys.meta_path`, reloads and bytecode files must be those of an unmeasured program.
Solution: replace one method. Loaders of source files, bytecode files and archives all execute modules by
`_LoaderBasics.exec_module`. Replace `_compile_bytecode` as well: code that the cache has is then not unmarshalled.
Alternatives: a finder in `sys.meta_path`. The program can see it, and it misses modules that `spec_from_file_location`
and reloads execute.

The interpreter removes frames of importlib from tracebacks, which it recognises by their file name. The replacements
carry importlib's file name, names and line numbers, so they are also counted and listed as importlib's. They call this
package by subscripts, which raise no call event, and profilers do not see the functions called (`guest.hiding`).
"""

from __future__ import annotations

import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _bootstrap_external
from _functools import partial  # type: ignore[import-not-found]
from _thread import get_ident
from types import CodeType, FunctionType

from instrument.guest.isolation import is_loading
from instrument.guest.messages import say_once, text_of
from instrument.guest.process_state import cleared_on_reset
from instrument.guest.program_errors import belongs_to_program
from instrument.link.module_import import ModuleImport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any, Protocol

    from instrument.link.cache import Cache

    class Instrumenter(Protocol):
        """Makes code live."""

        #: Whether code is measured that was compiled from a text of no file, such as an argument of `exec`.
        measures_texts: bool

        def instrument(
            self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
        ) -> CodeType:
            """Return the code to run in *namespace* in place of *code*, which may be *code* itself.

            *module_import* is given if *code* is that of a module that is being imported.
            """

        def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
            """Return the code to run in place of the module's bytecode; None if the cache does not have it.

            The code is looked up by content if the bytecode was read, otherwise by the stamp of its file.
            """

        def original_of(self, code: CodeType) -> CodeType:
            """Return the original of *code*, which is *code* itself unless it is live."""

        def cache(self) -> Cache:
            """Return the cache of rewritten code."""


#: The installed instrumenters, in the order in which they instrument code.
_instrumenters: list[Instrumenter] = cleared_on_reset([])
#: Those of them that were installed with *at_end*.
_at_end: list[Instrumenter] = cleared_on_reset([])
#: Functions to call with each module that was executed.
_after_execution: list[Callable[[ModuleType], None]] = cleared_on_reset([])
#: From the number of a thread to the import whose code that thread is getting.
_imports_by_thread: dict[int, ModuleImport] = cleared_on_reset({})
_loader = _bootstrap_external._LoaderBasics
_original_exec_module = _loader.exec_module
_original_compile_bytecode = _bootstrap_external._compile_bytecode  # type: ignore[attr-defined]


def install(instrumenter: Instrumenter, at_end: bool = False) -> None:
    """Make *instrumenter* instrument all code that is imported or executed from now on.

    With *at_end* it comes after all other instrumenters, even if these are installed later.
    """
    if at_end:
        _instrumenters.append(instrumenter)
        _at_end.append(instrumenter)
    else:
        _instrumenters.insert(len(_instrumenters) - len(_at_end), instrumenter)
    _loader.exec_module = _exec_modules[0]  # type: ignore[method-assign]
    if getattr(instrumenter, "takes_bytecode", True):
        _bootstrap_external._compile_bytecode = _compile_bytecode  # type: ignore[attr-defined]


def uninstall(instrumenter: Instrumenter) -> None:
    """Undo one `install` of *instrumenter*. The last one puts importlib's own functions back."""
    _instrumenters.remove(instrumenter)
    if instrumenter in _at_end:
        _at_end.remove(instrumenter)
    if not _instrumenters:
        _loader.exec_module = _original_exec_module  # type: ignore[method-assign]
        _bootstrap_external._compile_bytecode = _original_compile_bytecode  # type: ignore[attr-defined]


def is_installed(instrumenter: Instrumenter) -> bool:
    """Return whether *instrumenter* is installed."""
    return instrumenter in _instrumenters


#: Returns how many instrumenters are installed; a function in C.
n_instrumenters = _instrumenters.__len__


def call_after_execution(function: Callable[[ModuleType], None]) -> None:
    """Call *function* with each module that is executed from now on, while an instrumenter is installed."""
    if function not in _after_execution:
        _after_execution.append(function)


def module_code(module_import: ModuleImport) -> CodeType:
    """Return the code to run for the module of *module_import*, without its execution.

    Raise ImportError if the loader has no code. `warming.preparation` calls this; the stand-in for `exec_module` takes
    the same steps.
    """
    _look_up(module_import)
    code = module_import.code or _LiveCode()[module_import, module_import.origin()]
    if code is None:
        name = module_import.namespace["__name__"]
        raise ImportError(f"cannot load module {name!r} when get_code() returns None")
    return code


def report_uncounted(error: BaseException, namespace: dict[str, object], instrumenters: Sequence[Instrumenter]) -> None:
    """Report that *error* kept *instrumenters* from counting the code that runs in *namespace*.

    The report is a message, once in this process, and an entry for the file in `not_measured` of each session. If
    *error* belongs to the program, raise it and report nothing.
    """
    if belongs_to_program(error):
        raise error
    file = dict.get(namespace, "__file__")
    if type(file) is str:
        for instrumenter in instrumenters:
            session = getattr(instrumenter, "session", None)  # `warming.preparation` has none: it counts nothing
            if session is not None:
                session.not_measured.setdefault(file, text_of(error))
    say_once(f"not all is counted in this process: {text_of(error)}")


def instrument_or_none(
    instrumenter: Instrumenter,
    instrument: Callable[..., CodeType],
    code: CodeType,
    namespace: dict[str, object],
    *arguments: Any,
) -> CodeType | None:
    """Return `instrument(code, *arguments)`; None if that raises, which is reported (`report_uncounted`)."""
    try:
        return instrument(code, *arguments)
    except BaseException as error:
        report_uncounted(error, namespace, [instrumenter])
        return None


# The functions that stand in for importlib's, and their parts #########################################################


def _look_up(module_import: ModuleImport) -> None:
    """Set `code` of *module_import* if the cache knows its bytecode; else register the import for this thread."""
    if len(_instrumenters) == 1 and not is_loading():
        try:
            code = _instrumenters[0].code_for_cached_bytecode(module_import)
            if code is not None:
                module_import.code = _instrumenters[0].instrument(code, module_import.namespace, module_import)
                return
        except BaseException as error:
            report_uncounted(error, module_import.namespace, _instrumenters)
    _imports_by_thread[get_ident()] = module_import


class _StartImport:
    """`_StartImport()[loader, module]` is a new `ModuleImport`. Bytecode that the cache knows is not even read."""

    __slots__ = ()

    def __getitem__(self, loader_and_module: tuple[Any, ModuleType]) -> ModuleImport:
        loader, module = loader_and_module
        module_import = ModuleImport(module.__dict__, partial(loader.get_code, module.__name__), loader)
        _look_up(module_import)
        return module_import


class _LiveCode:
    """`_LiveCode()[module_import, code]` is the code to run in place of *code*; None if *code* is None."""

    __slots__ = ()

    def __getitem__(self, import_and_code: tuple[ModuleImport, CodeType | None]) -> CodeType | None:
        module_import, code = import_and_code
        _imports_by_thread.pop(get_ident(), None)
        module_import.was_compiled = module_import.bytecode is None
        if code is not None and not is_loading() and not module_import.is_known_to_need_no_rewrite():
            for instrumenter in _instrumenters:
                try:
                    code = instrumenter.instrument(code, module_import.namespace, module_import)
                except BaseException as error:
                    report_uncounted(error, module_import.namespace, [instrumenter])
        return code


class _NoteExecuted:
    """`_NoteExecuted()[module]` calls the functions of `call_after_execution` with *module*."""

    __slots__ = ()

    def __getitem__(self, module: ModuleType) -> None:
        for function in _after_execution:
            try:
                function(module)
            except BaseException as error:
                report_uncounted(error, {}, ())


def _exec_module() -> FunctionType:
    """Return the function that stands in for importlib's `exec_module`. It has the globals of importlib's module."""
    start_import, live, note_executed = _StartImport(), _LiveCode(), _NoteExecuted()

    # Each line here counts as the line of importlib's function at the same distance from its first line.
    # fmt: off
    def exec_module(self, module):  # type: ignore[no-untyped-def]
        """Execute the module."""
        code = (module_import := start_import[self, module]).code or live[module_import, self.get_code(module.__name__)]
        if code is None:
            raise ImportError(f"cannot load module {module.__name__!r} when "
                              "get_code() returns None")
        _bootstrap._call_with_frames_removed(exec, code, module.__dict__), note_executed[module]  # type: ignore[attr-defined]
    # fmt: on

    return FunctionType(
        exec_module.__code__, vars(_bootstrap_external), exec_module.__name__, None, exec_module.__closure__
    )


def _compile_bytecode(data, name=None, bytecode_path=None, source_path=None):  # type: ignore[no-untyped-def]
    """Return the code object in the bytecode *data*, or the live code that the cache has for that bytecode."""
    module_import = _imports_by_thread.pop(get_ident(), None)
    if (
        module_import is not None
        and source_path is not None
        # Another name means that the code of the registered import could not be got.
        and name == dict.get(module_import.namespace, "__name__")
        and len(_instrumenters) == 1
        and not is_loading()
    ):
        code = None
        try:
            module_import.note_bytecode(data, bytecode_path, source_path)
            if not module_import.is_known_to_need_no_rewrite():
                code = _instrumenters[0].code_for_cached_bytecode(module_import)
        except BaseException as error:
            report_uncounted(error, module_import.namespace, _instrumenters)
        if code is not None:
            return code
    return _original_compile_bytecode(data, name, bytecode_path, source_path)


#: In a tuple and not in a name of its own: a search for the function finds one namespace only, that of its class.
_exec_modules = (_exec_module(),)

for _ours, _theirs in (
    (_exec_modules[0], _original_exec_module),
    (_compile_bytecode, _original_compile_bytecode),
):
    _ours.__code__ = _ours.__code__.replace(
        co_filename=_theirs.__code__.co_filename,
        co_firstlineno=_theirs.__code__.co_firstlineno,
        co_qualname=_theirs.__code__.co_qualname,
    )
    _ours.__qualname__ = _theirs.__qualname__
    _ours.__module__ = _theirs.__module__
    _ours.__doc__ = _theirs.__doc__
del _ours, _theirs
