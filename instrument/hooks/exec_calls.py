"""Exchanges code that the program passes to `exec`, `eval`, `types.FunctionType` or `marshal`, just before the call.

Rewritten code evaluates `exchange_code[function, source, namespace]` before each call that may be such a call, and
passes the result on (`rewrite.probes`). So no frame of this package is on the stack while exec'd code runs. The
instrumenters are those of `hooks.imports`.
"""

from __future__ import annotations
import __future__

import marshal
import sys
from _operator import attrgetter, is_
from itertools import repeat
from sys import _getframe  # held: the program may replace it
from types import BuiltinFunctionType, CodeType, FunctionType

from instrument.decode.executors import text_may_mention_executor
from instrument.guest.isolation import is_loading
from instrument.guest.process_state import cleared_on_reset
from instrument.hooks.imports import _instrumenters, report_uncounted
from instrument.hooks.script_code import code_of_site_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_measures_texts = attrgetter("measures_texts")
_MODES: dict[object, str] = {exec: "exec", eval: "eval"}
_MARSHAL = (marshal.dumps, marshal.dump)
_ALL_FUTURES = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_MOST_COMPILED = 512
#: The line of this package's start-up file. `site` executes it twice in a virtual environment. Compiling it the second
#: time would take a tenth of a start (`hooks.script_code`), and nothing in it is counted.
_START = (
    'import os; os.environ.get("INSTRUMENT") and exec("'
    r"try:\n    from instrument.startup import start\n    start()\nexcept Exception:\n    pass"
    '")'
)
#: How many frames the caller's is above that of `_exchange_in_caller`. Frames of hidden functions are not counted,
#: except that of the function itself. On 3.15 that function is seen, and its callers are not.
_CALLER = 1 if sys.version_info >= (3, 12) else 3


#: From (text, mode, compiler flags) to the code that was compiled first, so that a loop around `eval` rewrites its text
#: once. The text is compiled each time, as it would be without this package: compiling may warn.
_compiled: dict[tuple[str | bytes, str, int], CodeType] = cleared_on_reset({})


class _ExchangeCode:
    """`exchange_code[function, source, namespace]` is the argument for *function* in place of *source*.

    - For `exec` and `eval`: the code to run in *namespace*, live if the namespace is that of a measured module.
    - For `FunctionType`: likewise; *source* may be live code of another module already.
    - For `marshal.dump` and `dumps`: the original, as live counters cannot be marshalled.
    - For any other function, and for a text that does not compile: *source* itself.

    If *namespace* is None or *function*, the namespace is that of the caller. `exchange_code[function, arguments]` is
    a tuple of all arguments, with the first one exchanged, for a call `function(*arguments)`.
    """

    __slots__ = ()

    def __getitem__(self, call: tuple[Any, ...]) -> object:
        if len(call) == 3:
            return _exchange(*call)
        function, arguments = call
        if type(arguments) not in (tuple, list) or not arguments:
            return arguments
        return (_exchange(function, arguments[0], arguments[1] if len(arguments) > 1 else None), *arguments[1:])

    def __reduce__(self) -> str:
        return "exchange_code"


exchange_code = _ExchangeCode()


def executor_names_in_namespace(namespace: dict[str, object]) -> frozenset[str]:
    """Return the names that `exec` and `eval` have in *namespace*, other than their own."""
    values = list(namespace.values())  # a copy: other threads may add names meanwhile
    if not any(map(is_, values, repeat(exec))) and not any(map(is_, values, repeat(eval))):
        return frozenset()
    names = [name for name, value in list(namespace.items()) if value is exec or value is eval]
    return frozenset(names) - {"exec", "eval"}


def _exchange(function: object, source: object, namespace: object) -> object:
    """Return the argument for *function* in place of *source*: see `_ExchangeCode`."""
    if not _instrumenters or is_loading():
        return source
    if function is FunctionType:
        mode = ""
    elif type(function) is not BuiltinFunctionType:
        return source
    elif function in _MARSHAL:
        return _original_for_marshal(source)
    elif function in _MODES:
        mode = _MODES[function]
    else:
        return source
    if type(source) is CodeType and namespace is not None and namespace is not function:
        # No `try` here: code with handlers cannot be hidden on 3.15. `instrument_or_none` guards the instrumenter.
        if issubclass(type(namespace), dict):
            for instrumenter in _instrumenters:
                source = instrumenter.instrument(source, namespace)  # type: ignore[arg-type]
        return source
    return _exchange_in_caller(function, source, namespace, mode)


def _exchange_in_caller(function: object, source: object, namespace: object, mode: str) -> object:
    """Do the same as `_exchange` for a text, or for the namespace of the caller. *mode* is that of `compile`."""
    given = source
    try:
        if namespace is None or namespace is function:
            namespace = _getframe(_CALLER).f_globals
        if type(source) is str and source.startswith(_START) and source.rstrip() == _START:
            return given
        if type(source) is str and mode and not _may_change(source):
            return given
        if type(source) in (str, bytes) and mode:
            flags = _getframe(_CALLER).f_code.co_flags & _ALL_FUTURES
            source = _compile(source, mode, flags, _is_of_site(namespace))  # type: ignore[arg-type]
        if type(source) is CodeType and isinstance(namespace, dict):
            for instrumenter in _instrumenters:
                source = instrumenter.instrument(source, namespace)
    except BaseException as error:
        report_uncounted(error, namespace if type(namespace) is dict else {}, _instrumenters)
        return given
    return source


def _is_of_site(namespace: object) -> bool:
    """Return whether *namespace* is that of the module `site`, which executes lines of `.pth` files."""
    name = namespace.get("__name__") if type(namespace) is dict else None
    return type(name) is str and name == "site"


def _may_change(text: str) -> bool:
    """Return whether *text* may have to be exchanged for code that is compiled here.

    All other texts are left to the interpreter, because the function `compile` makes all types of `_ast` first. [3.12,
    callgrind: 9 million instructions, in any process that makes a named tuple]
    """
    return text_may_mention_executor(text) or any(map(_measures_texts, _instrumenters))


def _original_for_marshal(source: object) -> object:
    """Return the original of *source* if it is code, else *source*. The first instrumenter notes that it goes out."""
    if type(source) is CodeType:
        for instrumenter in _instrumenters:
            return instrumenter.original_of(source)
    return source


def _compile(source: str | bytes, mode: str, flags: int, is_for_site: bool) -> CodeType | str | bytes:
    """Return the code that `exec` or `eval`, as *mode* says, compiles from the text *source*.

    Equal calls return the same object, so that it is rewritten once. Return *source* itself if it does not compile. If
    it *is_for_site*, the code comes from the cache.
    """
    key = source, mode, flags
    text = source
    # `eval` skips these characters (bltinmodule.c: builtin_eval).
    if mode == "eval":
        text = source.lstrip(" \t") if isinstance(source, str) else source.lstrip(b" \t")
    try:
        if is_for_site and mode == "exec" and type(text) is str and not flags:
            code = code_of_site_line(text, _instrumenters[0].cache())
        else:
            code = compile(text, "<string>", mode, flags, dont_inherit=True)
    except Exception:
        return source  # the program's own call raises the error
    if len(_compiled) >= _MOST_COMPILED:
        _compiled.clear()
    return _compiled.setdefault(key, code)
