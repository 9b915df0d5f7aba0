"""Hooks the execution of the main program, so that its code is live from the first line on.

A function that makes code live comes in (`install`). The interpreter itself, or its `runpy`, then executes the live
code of `__main__`. No other frame is below the program: `sys._getframe`, tracebacks and exit statuses are those of a
plain run.

- `runpy` executes programs from `-m`, folders and archives, and for children of multiprocessing the main program of the
  parent. It passes their code to a global name, `exec`. That name gets another meaning as soon as `runpy` is
  imported.
- A script is compiled and executed by the interpreter in C, without any hook.
  Problem: have the interpreter execute live code of a script.
  Solution: before it executes a script, the interpreter looks whether `sys.path_hooks` know the script, as they know
  archives and folders. If so, it has `runpy` execute `__main__`. So `sys.path_importer_cache` gets an entry for the
  script, and `sys.modules` another `runpy`. That one puts everything back, and executes the script.
  Alternatives: executing the script from the start-up file. Then frames of this package are below the program.

Programs from `-c` and standard input come from no file, and are not counted. The modules that they import are.
These hooks are undone when the main program begins, except for the name `exec` in `runpy`, which may execute others.
"""

# No `from __future__ import annotations`: this is imported before the program, which may be the first to import that.
import os
import sys
from _frozen_importlib import FrozenImporter
from _frozen_importlib_external import PathFinder, SourceFileLoader
from _operator import call, is_, methodcaller
from itertools import starmap

from instrument.guest.interpreters import is_main
from instrument.guest.messages import say_once, text_of
from instrument.guest.program_errors import belongs_to_program
from instrument.hooks.script_code import code_of_script

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    from instrument.link.cache import Cache

    Namespace = dict[str, Any]
    Call = tuple[Any, ...]
    Instrument = Callable[[CodeType, Namespace], CodeType]

_getframe = sys._getframe
_modules = sys.modules
_ModuleType = type(sys)
_CodeType = type(_getframe().f_code)

#: Options of the interpreter that are one letter and take no argument.
_LETTERS = "bBdEhiIOPqRsSuvVx?"
#: Values of the first argument if the main program is no script.
_NO_SCRIPT = ("", "-", "-c", "-m")


class _Execution:
    """Stands for a function that executes a program: when called, it performs *calls* without a frame.

    *calls* returns tuples of a function and its arguments. To call an object, the interpreter looks up `__call__`, and
    here the lookup performs the calls. `run` gets them and returns, then built-in iterators call them. The last one
    returns a function, which the interpreter calls with the two arguments that it has, without effect (`_LAST_CALL`).
    """

    def __init__(self, calls: "Callable[[], tuple[Call, ...]]") -> None:
        self._calls = calls

    @property
    def run(self) -> "Callable[[], object]":
        return filter(None, starmap(call, self._calls())).__next__

    __call__ = property(methodcaller("run"))


def install(instrument: "Instrument", cache: "Cache") -> None:
    """Have *instrument* make live the main program, and other programs that `runpy` executes.

    The code of a script is taken from the *cache*, if possible.

    Only the main interpreter executes a script, although others may have the same `sys.argv`.
    """
    install_in_runpy(instrument)
    name = sys.argv[0] if sys.argv else ""
    if not is_main():
        correct_path_later()
    elif name not in _NO_SCRIPT:
        _install_for_script(name, instrument, cache)


def install_in_runpy(instrument: "Instrument") -> None:
    """Have *instrument* make live the programs that `runpy` executes from now on."""

    def calls() -> "tuple[Call, ...]":
        # The only function of `runpy` that calls `exec` is _run_code(code, run_globals, …).
        variables = _getframe(2).f_locals
        code, namespace = variables["code"], variables["run_globals"]
        return (exec, _live(instrument, code, namespace), namespace), _LAST_CALL

    def exec_module(module: "Any") -> None:
        """Execute the module."""
        original(module)
        if module.__name__ == "runpy":
            vars(module)["exec"] = _Execution(calls)
            FrozenImporter.exec_module = staticmethod(original)  # type: ignore[method-assign]

    original = FrozenImporter.exec_module
    _look_like_importlib(exec_module, original)
    if "runpy" not in _modules:
        FrozenImporter.exec_module = staticmethod(exec_module)  # type: ignore[method-assign]
    elif getattr(_modules["runpy"].__spec__, "loader", None) is FrozenImporter:
        vars(_modules["runpy"])["exec"] = _Execution(calls)


def _install_for_script(name: str, instrument: "Instrument", cache: "Cache") -> None:
    """Have the live code of the script *name* executed, unless *name* is no script or cannot be compiled."""
    path = _absolute(name)
    code = _code_of_script(path, cache)
    if code is None or "runpy" in _modules:
        return
    stand_in = _ModuleType("runpy")

    def calls() -> "tuple[Call, ...]":
        if _modules.get("runpy") is stand_in:
            del _modules["runpy"]
        sys.path_importer_cache[path] = None
        if sys.path[:1] == [path]:
            if getattr(sys.flags, "safe_path", False):
                del sys.path[0]
            else:
                sys.path[0] = _folder_of_script(path)
        namespace = vars(_modules["__main__"])
        namespace["__file__"] = path
        if sys.version_info < (3, 15):
            namespace["__cached__"] = None
        namespace["__loader__"] = SourceFileLoader("__main__", path)
        return (
            (exec, _live(instrument, code, namespace), namespace),
            (_forget_file, namespace),
            (_flush_output,),
            _LAST_CALL,
        )

    def attribute_of_runpy(name: str) -> object:
        """Return the attribute of the real `runpy`, after removing ours: the interpreter executes the script itself."""
        if _modules.get("runpy") is stand_in:
            del _modules["runpy"]
            sys.path_importer_cache.pop(path, None)
        return getattr(__import__("runpy"), name)

    stand_in.__getattr__ = attribute_of_runpy  # type: ignore[method-assign]
    stand_in._run_module_as_main = _Execution(calls)  # type: ignore[attr-defined]
    sys.path_importer_cache[path] = _FinderInScript()  # type: ignore[assignment]
    _modules["runpy"] = stand_in


class _FinderInScript:
    """Makes the interpreter believe that modules can be found in a script. None is looked for there."""


def correct_path_later() -> None:
    """Have `sys.path` of this interpreter, which is not the main one, corrected when its first entry is used.

    From 3.12 on, that entry is the one that the main interpreter has put first in its own `sys.path` (pylifecycle.c:
    init_interp_main). For a script that `runpy` executes, that is the script itself and not its folder. The entry is
    made after the start-up file was executed, so it is corrected when a module is first looked for in it.
    """
    name = sys.argv[0] if sys.argv else ""
    path = _absolute(name) if name not in _NO_SCRIPT else ""
    if sys.version_info >= (3, 12) and path and _is_script(path):
        sys.path_importer_cache[path] = _PathCorrection(path)  # type: ignore[assignment]


class _PathCorrection:
    """Stands for a finder in the script at *path*, which is in `sys.path` in place of its folder."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find_spec(self, name: str, target: object = None) -> object:
        """Correct `sys.path`, and return the spec of the module *name* in the correct entry; None if there is none."""
        sys.path_importer_cache.pop(self._path, None)
        entries = sys.path
        if self._path not in entries:
            return None
        place = entries.index(self._path)
        if getattr(sys.flags, "safe_path", False):
            del entries[place]  # the next entry moves up, and a search that goes on passes over it
        else:
            entries[place] = _folder_of_script(self._path)
        finder = PathFinder._path_importer_cache(entries[place]) if place < len(entries) else None  # type: ignore[attr-defined]
        return None if finder is None else finder.find_spec(name, target)


def _flush_output() -> None:
    """Write the buffered output, as the interpreter does when a script has ended (pythonrun.c: flush_io)."""
    for name in ("stderr", "stdout"):
        try:
            getattr(sys, name).flush()
        except BaseException:  # the interpreter ignores errors here, too
            pass


def _forget_file(namespace: "Namespace") -> None:
    """Remove the names from *namespace* that the interpreter removes when a script has ended."""
    namespace.pop("__file__", None)
    namespace.pop("__cached__", None)


#: Returns `operator.is_`: it can be called with any two arguments, and has no effect.
_LAST_CALL: "Call" = (getattr, _modules["_operator"], is_.__name__)


def _live(instrument: "Instrument", code: "Any", namespace: "Namespace") -> "Any":
    """Return the live code of *code*; *code* itself if it is no code, or if that fails, which is said."""
    try:
        return instrument(code, namespace) if type(code) is _CodeType else code
    except BaseException as error:
        if belongs_to_program(error):
            raise
        say_once(f"the main program is not counted: {text_of(error)}")
        return code


def _absolute(name: str) -> str:
    """Return the absolute path of the script *name*, otherwise spelled as it was given, as the interpreter does."""
    if os.sep != "/":
        return os.path.abspath(name)
    return name if name[0] == "/" else f"{os.getcwd()}/{name}"


def _folder_of_script(path: str) -> str:
    """Return the folder that the interpreter puts first in `sys.path` for the script at *path*."""
    return os.path.dirname(os.path.realpath(path))


#: The kind of a file in its mode, and that of a regular file.
_S_IFMT, _S_IFREG = 0o170000, 0o100000


def _code_of_script(path: str, cache: "Cache") -> "CodeType | None":
    """Return the code of the script at *path*; None if the interpreter must execute it, or complain of it, itself."""
    try:
        if not _is_script(path):
            return None
        with open(path, "rb") as file:
            return code_of_script(path, file.read(), cache)
    except Exception:
        return None  # the interpreter reports the error in its own words


def _is_script(path: str) -> bool:
    """Return whether the interpreter would execute the file at *path* itself, as a script, and it can be read twice."""
    try:
        if _skips_first_line() or path.endswith(".pyc") or os.stat(path).st_mode & _S_IFMT != _S_IFREG:
            return False
    except OSError:
        return False
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return False  # an archive, which runpy executes
    return True


def _skips_first_line() -> bool:
    """Return whether the interpreter was called with `-x`: then it skips the first line of the script."""
    # The interpreter's options stand behind its name, and before the script and its arguments, which `argv` holds.
    options = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
    for option in options:
        if option[:1] == "-":
            letters = option[1:]
            # One option may join several letters. From the first letter that takes an argument on, the rest is that
            # argument: `-bx` has an `x`, `-Xfrozen_modules` has none.
            n_letters = len(letters) - len(letters.lstrip(_LETTERS))
            if "x" in letters[:n_letters]:
                return True
    return False


def _look_like_importlib(ours: "Any", theirs: "Any") -> None:
    """Give *ours* the file name of *theirs*, a function of importlib: the interpreter hides those in tracebacks."""
    code = theirs.__code__
    ours.__code__ = ours.__code__.replace(co_filename=code.co_filename, co_firstlineno=code.co_firstlineno)
    ours.__qualname__, ours.__module__ = theirs.__qualname__, theirs.__module__
