"""Make live what is imported, and what the program executes itself.

Modules come in as the import system executes them; their code goes on instrumented. Every loader of source, bytecode
files and zip archives executes a module by one method, `_LoaderBasics.exec_module`; while something is measured, ours
stands in its place. So finders, specs, loaders and `sys.meta_path` are those that the program would have without us,
reloads and `spec_from_file_location` are covered, and bytecode caches remain the interpreter's own.

The method calls itself a part of importlib: the interpreter takes importlib's frames out of tracebacks by their file
name. It is a function of importlib's module, with the lines of the one that it stands for, so it is counted and listed
as that one is. What it calls of ours is unseen by profilers (instrument.guest.hiding), and is asked by subscripts,
which
raise no event of a call.

Code that the program itself hands to `exec` or `eval`, to `types.FunctionType` or to `marshal` is exchanged just before
the call (rewrite.probes), so that none of our frames is on the stack while it runs.
"""

from __future__ import annotations
import __future__

import _frozen_importlib as _bootstrap
import _frozen_importlib_external as _bootstrap_external
import marshal
from _functools import partial  # type: ignore[import-not-found]
from _operator import is_
from _thread import get_ident
from itertools import repeat
from sys import _getframe  # held: the program may do without
from types import BuiltinFunctionType, CodeType, FunctionType

from instrument.guest.hiding import CAN_HIDE, unseen
from instrument.guest.isolation import is_loading
from instrument.guest.messages import belongs_to_program, say_once, text_of
from instrument.link.module_import import ModuleImport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any, Protocol

    class Instrumenter(Protocol):
        """What turns code into code that counts."""

        def instrument(
            self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
        ) -> CodeType:
            """Return what runs in *namespace* in place of *code*; that of a module that is imported was
            *module_import*.
            """

        def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
            """Return what runs in place of the bytecode that is *module_import*, if that is known without looking at
            it: by
            its bytes, or by its stamp if it was not read yet.
            """

        def original_of(self, code: CodeType) -> CodeType:
            """Return what *code* was before."""


_call_with_frames_removed = _bootstrap._call_with_frames_removed  # type: ignore[attr-defined]
_loader = _bootstrap_external._LoaderBasics
_original = _loader.exec_module
_compile_original = _bootstrap_external._compile_bytecode  # type: ignore[attr-defined]
_instrumenters: list[Instrumenter] = []
_at_end: list[Instrumenter] = []
#: Called with each module that was imported while something is measured.
after_execution: list[Callable[[ModuleType], None]] = []
#: Modules whose code is being got, by thread.
_module_imports: dict[int, ModuleImport] = {}


def module_code(module_import: ModuleImport) -> CodeType:
    """Return the code of the module that is *module_import*, instrumented; raise ImportError if it has none."""
    _look_up(module_import)
    code = module_import.code or _Made()[module_import, module_import.origin()]
    if code is None:
        name = module_import.namespace["__name__"]
        raise ImportError(f"cannot load module {name!r} when get_code() returns None")
    return code


def _look_up(module_import: ModuleImport) -> None:
    if len(_instrumenters) == 1 and not is_loading():
        try:
            code = _instrumenters[0].code_for_cached_bytecode(module_import)
            if code is not None:
                module_import.code = _instrumenters[0].instrument(code, module_import.namespace, module_import)
                return
        except BaseException as error:
            report_uncounted(error, module_import.namespace, _instrumenters)
    _module_imports[get_ident()] = module_import


def report_uncounted(error: BaseException, namespace: dict[str, object], instrumenters: Sequence[Instrumenter]) -> None:
    """Say that code which runs in *namespace* is not counted by *instrumenters*, as *error* was raised; raise it if it
    is the program's.
    """
    if belongs_to_program(error):
        raise error
    file = dict.get(namespace, "__file__")
    if type(file) is str:
        for instrumenter in instrumenters:
            session = getattr(instrumenter, "session", None)
            if session is not None:
                session.not_measured.setdefault(file, text_of(error))
    say_once(f"not all is counted in this process: {text_of(error)}")


def instrument_or_none(
    instrumenter: Instrumenter, make: Callable[..., CodeType], code: CodeType, namespace: dict[str, object], *where: Any
) -> CodeType | None:
    """Return what *make* makes of *code* and *where*; None if that fails, which is said (`report_uncounted`)."""
    try:
        return make(code, *where)
    except BaseException as error:
        report_uncounted(error, namespace, [instrumenter])
        return None


class _Known:
    """`_Known()[loader, module]` is the Import of *module*. Bytecode that is known is not even read."""

    __slots__ = ()

    def __getitem__(self, found: tuple[Any, ModuleType]) -> ModuleImport:
        loader, module = found
        module_import = ModuleImport(module.__dict__, partial(loader.get_code, module.__name__), loader)
        _look_up(module_import)
        return module_import


class _Made:
    """`_Made()[awaited, code]` is what runs in place of *code*, which was got for the Import *module_import*."""

    __slots__ = ()

    def __getitem__(self, got: tuple[ModuleImport, CodeType | None]) -> CodeType | None:
        module_import, code = got
        _module_imports.pop(get_ident(), None)
        module_import.was_compiled = module_import.bytecode is None
        if code is not None and not is_loading() and not module_import.is_known_to_need_no_rewrite():
            for instrumenter in _instrumenters:
                try:
                    code = instrumenter.instrument(code, module_import.namespace, module_import)
                except BaseException as error:
                    report_uncounted(error, module_import.namespace, [instrumenter])
        return code


class _Executed:
    """`_Executed()[module]` tells those who want to know that *module* was executed."""

    __slots__ = ()

    def __getitem__(self, module: ModuleType) -> None:
        for tell in after_execution:
            try:
                tell(module)
            except BaseException as error:
                report_uncounted(error, {}, ())


def _exec_module() -> FunctionType:
    """Return what stands for importlib's `exec_module`, a function of its module."""
    known, made, executed = _Known(), _Made(), _Executed()

    # fmt: off
    def exec_module(self, module):  # type: ignore[no-untyped-def]
        """Execute the module."""
        code = (module_import := known[self, module]).code or made[module_import, self.get_code(module.__name__)]
        if code is None:
            raise ImportError(f"cannot load module {module.__name__!r} when "
                              "get_code() returns None")
        _bootstrap._call_with_frames_removed(exec, code, module.__dict__), executed[module]  # type: ignore[attr-defined]
    # fmt: on

    return FunctionType(
        exec_module.__code__, vars(_bootstrap_external), exec_module.__name__, None, exec_module.__closure__
    )


def _compile_bytecode(data, name=None, bytecode_path=None, source_path=None):  # type: ignore[no-untyped-def]
    """Return the code object in the bytecode *data*, or what was made of it before."""
    module_import = _module_imports.pop(get_ident(), None)
    if (
        module_import is not None
        and source_path is not None
        and name == dict.get(module_import.namespace, "__name__")  # or it is one that could not be got
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
    return _compile_original(data, name, bytecode_path, source_path)


#: No variable of ours, so that it is found in one namespace, that of its class, when its class is looked for.
_exec_modules = (_exec_module(),)

for _ours, _theirs in ((_exec_modules[0], _original), (_compile_bytecode, _compile_original)):
    _ours.__code__ = _ours.__code__.replace(
        co_filename=_theirs.__code__.co_filename,
        co_firstlineno=_theirs.__code__.co_firstlineno,
        co_qualname=_theirs.__code__.co_qualname,
    )
    _ours.__qualname__ = _theirs.__qualname__
    _ours.__module__ = _theirs.__module__
    _ours.__doc__ = _theirs.__doc__
del _ours, _theirs


def install(instrumenter: Instrumenter, at_end: bool = False) -> None:
    """From now on, let *instrumenter* turn the code of every module that is imported, and what is handed over.

    It is asked *at_end* of those that come later, or before those that are.
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
    """Undo one `install` of *instrumenter*."""
    _instrumenters.remove(instrumenter)
    if instrumenter in _at_end:
        _at_end.remove(instrumenter)
    if not _instrumenters:
        _loader.exec_module = _original  # type: ignore[method-assign]
        _bootstrap_external._compile_bytecode = _compile_original  # type: ignore[attr-defined]


def is_installed(instrumenter: Instrumenter) -> bool:
    """Return whether *instrumenter* is installed."""
    return instrumenter in _instrumenters


#: Returns how many instrumenters are installed; a function in C.
n_instrumenters = _instrumenters.__len__


# What programs hand over ##############################################################################################

_modes: dict[object, str] = {exec: "exec", eval: "eval"}
_marshal = (marshal.dumps, marshal.dump)
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
#: Code of source texts that were executed lately, so that a loop around `eval` rewrites its text once. It compiles it
#: each time, as it would without us: compiling may warn.
_compiled: dict[tuple[str | bytes, str, int], CodeType] = {}
_N_COMPILED = 512


class _ExchangeCode:
    """`prepare[function, source, namespace]` is what *function*, if it is one that takes code, is to take in place of
    *source*.

    `exec` and `eval` in *namespace*: what is to be executed, which is live if the namespace is that of a module that is
    measured. FunctionType: likewise, for code that may be live already but runs elsewhere now. `marshal`: the original,
    as live counters cannot be written.

    Without a namespace (None, or *function* in its place) it is that of the caller. What does not compile is left
    alone: executing it will say so.

    `prepare[function, arguments]` are all arguments, with the first exchanged; `function(*arguments)` takes them.
    """

    __slots__ = ()

    def __getitem__(self, call: tuple[Any, ...]) -> object:
        if len(call) == 3:
            return _exchanged(*call)
        function, arguments = call
        if type(arguments) not in (tuple, list) or not arguments:
            return arguments
        return (_exchanged(function, arguments[0], arguments[1] if len(arguments) > 1 else None), *arguments[1:])

    def __reduce__(self) -> str:
        return "exchange_code"


def _exchanged(function: object, source: object, namespace: object) -> object:
    if not _instrumenters or is_loading():
        return source
    if function is FunctionType:
        mode = ""
    elif type(function) is not BuiltinFunctionType:
        return source
    elif function in _marshal:
        return _original_for_marshal(source)
    elif function in _modes:
        mode = _modes[function]
    else:
        return source
    if type(source) is CodeType and namespace is not None and namespace is not function:
        # Without a handler, which would be seen on 3.15; what may fail is guarded where code is made live.
        if issubclass(type(namespace), dict):
            for instrumenter in _instrumenters:
                source = instrumenter.instrument(source, namespace)  # type: ignore[arg-type]
        return source
    return _exchanged_text(function, source, namespace, mode)


def _exchanged_text(function: object, source: object, namespace: object, mode: str) -> object:
    """Return what `_exchanged` does of text, or where the *namespace* is that of the caller."""
    given = source
    try:
        if namespace is None or namespace is function:
            namespace = _getframe(_CALLER).f_globals
        if type(source) in (str, bytes) and mode:
            source = _compile(source, mode, _getframe(_CALLER).f_code.co_flags & _FUTURE)  # type: ignore[arg-type]
        if type(source) is CodeType and isinstance(namespace, dict):
            for instrumenter in _instrumenters:
                source = instrumenter.instrument(source, namespace)
    except BaseException as error:
        report_uncounted(error, namespace if type(namespace) is dict else {}, _instrumenters)
        return given
    return source


#: How many frames above that of `_exchanged_text` the program's is: frames of functions that are unseen are not
#: counted,
#: but that of the caller itself is. On 3.15 it is seen, and what calls it is not.
_CALLER = 1 if CAN_HIDE else 3
exchange_code = _ExchangeCode()


def executor_names_in_namespace(namespace: dict[str, object]) -> frozenset[str]:
    """Return the names that `exec` and `eval` have in *namespace*, beside their own."""
    values = list(namespace.values())  # held: other threads may add some
    if not any(map(is_, values, repeat(exec))) and not any(map(is_, values, repeat(eval))):
        return frozenset()
    names = [name for name, value in list(namespace.items()) if value is exec or value is eval]
    return frozenset(names) - {"exec", "eval"}


def _original_for_marshal(source: object) -> object:
    if type(source) is CodeType:
        for instrumenter in _instrumenters:
            return instrumenter.original_of(source)
    return source


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


unseen(_exchanged_text, counts_frames=True)
