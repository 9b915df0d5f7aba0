"""The main program, live, and as without us.

What makes code live comes in; `__main__` is executed by the interpreter itself, or by its `runpy`, and neither leaves a
frame of ours below the program: `sys._getframe`, tracebacks and exit statuses are those of the plain run.

- A program that `runpy` executes (`-m`, folders, archives; and what multiprocessing's children execute of their
  parent's) is handed to `exec` by name: that name is given a meaning of our own in the frozen `runpy`, as soon as that
  is imported.
- A script is compiled and executed by the interpreter, which asks nobody. But before that it looks whether `sys.path`
  could hold the script, as it can archives and folders, and if so lets `runpy` execute `__main__`. So we say yes, and
  put a `runpy` in place that executes the script, after everything has been put as it is without us.

Programs from `-c` and standard input come from no file, and are not counted; what they import is.
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    Namespace = dict[str, Any]
    Call = tuple[Any, ...]
    Instrument = Callable[[CodeType, Namespace], CodeType]

_getframe = sys._getframe
_modules = sys.modules
_ModuleType = type(sys)
_CodeType = type(_getframe().f_code)

#: Options of the interpreter that are one letter and take no argument.
_LETTERS = "bBdEhiIOPqRsSuvVx?"
#: What the first argument is when the main program is no script.
_NO_SCRIPT = ("", "-", "-c", "-m")


class _Execution:
    """To be called, once, by what executes a program: performs *calls* in its place, and none of our frames is there.

    The interpreter calls an object by looking up its `__call__`, and here the lookup performs the calls: `run` prepares
    them and is done; then a chain of built-in iterators makes them. The last call is one that returns what can be
    called with two arguments, which the interpreter then does, in vain.
    """

    def __init__(self, calls: "Callable[[], tuple[Call, ...]]") -> None:
        self._calls = calls

    @property
    def run(self) -> "Callable[[], object]":
        return filter(None, starmap(call, self._calls())).__next__

    __call__ = property(methodcaller("run"))


def arrange(instrument: "Instrument") -> None:
    """Let *instrument* make the main program live, and what else `runpy` executes.

    Only the main interpreter executes a script, although others may have the same `sys.argv`.
    """
    arrange_runpy(instrument)
    name = sys.argv[0] if sys.argv else ""
    if not is_main():
        arrange_path()
    elif name not in _NO_SCRIPT:
        _arrange_script(name, instrument)


def arrange_runpy(instrument: "Instrument") -> None:
    """Let *instrument* make live what `runpy` executes from now on."""

    def calls() -> "tuple[Call, ...]":
        # The only function in there that says `exec`, is _run_code(code, run_globals, …).
        variables = _getframe(2).f_locals
        code, namespace = variables["code"], variables["run_globals"]
        return (exec, _live(instrument, code, namespace), namespace), _THE_END

    def exec_module(module: "Any") -> None:
        """Execute the module."""
        original(module)
        if module.__name__ == "runpy":
            vars(module)["exec"] = _Execution(calls)
            FrozenImporter.exec_module = staticmethod(original)  # type: ignore[method-assign]

    original = FrozenImporter.exec_module
    _pass_for(exec_module, original)
    if "runpy" not in _modules:
        FrozenImporter.exec_module = staticmethod(exec_module)  # type: ignore[method-assign]
    elif getattr(_modules["runpy"].__spec__, "loader", None) is FrozenImporter:
        vars(_modules["runpy"])["exec"] = _Execution(calls)


def _arrange_script(name: str, instrument: "Instrument") -> None:
    """Let the script *name* be executed live, unless it is something else, or cannot be compiled."""
    path = _as_the_interpreter_sees(name)
    code = _compiled_script(path)
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
        return (exec, _live(instrument, code, namespace), namespace), (_forget_file, namespace), (_flush,), _THE_END

    def real(name: str) -> object:
        """Give way to the real one: the interpreter executes the script by itself after all."""
        if _modules.get("runpy") is stand_in:
            del _modules["runpy"]
            sys.path_importer_cache.pop(path, None)
        return getattr(__import__("runpy"), name)

    stand_in.__getattr__ = real  # type: ignore[method-assign]
    stand_in._run_module_as_main = _Execution(calls)  # type: ignore[attr-defined]
    sys.path_importer_cache[path] = _CanHold()  # type: ignore[assignment]
    _modules["runpy"] = stand_in


class _CanHold:
    """Stands for a finder in a script, which there is not."""


def arrange_path() -> None:
    """Let `sys.path` of this interpreter, which is not the main one, be what it is without us.

    From 3.12 on the interpreter puts there what it has put first in `sys.path` of the main one (pylifecycle.c:
    init_interp_main). For a script that `runpy` executes that is the script itself, and not its folder. It does so
    after the start-up file was executed, so the entry is put right when something is first looked for in it.
    """
    name = sys.argv[0] if sys.argv else ""
    path = _as_the_interpreter_sees(name) if name not in _NO_SCRIPT else ""
    if sys.version_info >= (3, 12) and path and _is_script(path):
        sys.path_importer_cache[path] = _Misplaced(path)  # type: ignore[assignment]


class _Misplaced:
    """Stands for a finder in the script at *path*, which is in `sys.path` in place of its folder."""

    def __init__(self, path: str) -> None:
        self._path = path

    def find_spec(self, name: str, target: object = None) -> object:
        """Put `sys.path` right, and return the spec of the module *name*, or None, from what is there instead."""
        sys.path_importer_cache.pop(self._path, None)
        entries = sys.path
        if self._path not in entries:
            return None
        place = entries.index(self._path)
        if getattr(sys.flags, "safe_path", False):
            del entries[place]  # the next one takes its place, and is passed over by who looks at one after the other
        else:
            entries[place] = _folder_of_script(self._path)
        finder = PathFinder._path_importer_cache(entries[place]) if place < len(entries) else None  # type: ignore[attr-defined]
        return None if finder is None else finder.find_spec(name, target)


def _flush() -> None:
    """Write what the script has printed, as the interpreter does when a script has ended (flush_io)."""
    for name in ("stderr", "stdout"):
        try:
            getattr(sys, name).flush()
        except BaseException:  # the interpreter ignores it, too
            pass


def _forget_file(namespace: "Namespace") -> None:
    """Take from *namespace* what the interpreter takes from it when a script has ended."""
    namespace.pop("__file__", None)
    namespace.pop("__cached__", None)


_THE_END: "Call" = (getattr, _modules["_operator"], is_.__name__)


def _live(instrument: "Instrument", code: "Any", namespace: "Namespace") -> "Any":
    try:
        return instrument(code, namespace) if type(code) is _CodeType else code
    except BaseException as error:
        if belongs_to_program(error):
            raise
        say_once(f"the main program is not counted: {text_of(error)}")
        return code


def _as_the_interpreter_sees(name: str) -> str:
    """Return the path of the script *name* as the interpreter spells it: absolute, otherwise as it was given."""
    if os.sep != "/":
        return os.path.abspath(name)
    return name if name[0] == "/" else f"{os.getcwd()}/{name}"


def _folder_of_script(path: str) -> str:
    """Return what the interpreter puts first in `sys.path` for the script *path*."""
    return os.path.dirname(os.path.realpath(path))


_S_IFMT, _S_IFREG = 0o170000, 0o100000


def _compiled_script(path: str) -> "CodeType | None":
    """Return the code of the script *path*; None if the interpreter had better see to it itself."""
    try:
        if not _is_script(path):
            return None
        with open(path, "rb") as file:
            return compile(file.read(), path, "exec", dont_inherit=True)
    except Exception:
        return None  # the interpreter says so in its own words


def _is_script(path: str) -> bool:
    """Return whether the interpreter would execute *path* as a script, by itself, and it can be read twice."""
    try:
        if _skips_a_line() or path.endswith(".pyc") or os.stat(path).st_mode & _S_IFMT != _S_IFREG:
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


def _skips_a_line() -> bool:
    """Return whether the interpreter was called with `-x`, by which it skips the first line of a script."""
    for argument in sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]:
        if argument[:1] == "-":
            letters = argument[1:]
            if "x" in letters[: len(letters) - len(letters.lstrip(_LETTERS))]:
                return True
    return False


def _pass_for(ours: "Any", theirs: "Any") -> None:
    """Let *ours* pass for *theirs*, a part of importlib: the interpreter takes those out of tracebacks."""
    code = theirs.__code__
    ours.__code__ = ours.__code__.replace(co_filename=code.co_filename, co_firstlineno=code.co_firstlineno)
    ours.__qualname__, ours.__module__ = theirs.__qualname__, theirs.__module__
