"""The loader of this package's modules.

The name of a module comes in, and its code is executed. The loader gives the module the package's own builtins
(own_builtins), and hides the functions that run in the midst of the program's code (hiding).

Problem: a start loads some sixty modules. Finding and reading that many files, and hiding some three hundred functions,
takes longer than anything else in a start.
Solution: at the end of a start, the code of all modules that were loaded is written to one file, with functions hidden.
The next start reads that file only, and executes the modules in order, each after its imports.
So importlib searches for none of them. [3.12, callgrind, a script of one line, in million instructions: 178 with
importlib, 166 without, 43 unmeasured] A module whose source has another time or size is loaded from its own file. The
file is the bytecode file of `instrument/_start_modules.py`, an empty module. So installers remove it with the package,
and PYTHONPYCACHEPREFIX and PYTHONDONTWRITEBYTECODE hold for it.
"""

# No `from __future__ import annotations`: see instrument.guest.
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import (
    MAGIC_NUMBER,
    FileFinder,
    SourceFileLoader,
    cache_from_source,
)
from marshal import dumps, loads

from instrument.guest.own_builtins import ours, system

__builtins__ = ours  # type: ignore[assignment]  # this module is loaded before there is the loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, ModuleType

    #: A module in the file: whether it is a package; time in nanoseconds and size of its source; its marshalled code.
    StoredModule = tuple[bool, int, int, bytes]

_Module = type(sys)
_SEPARATOR = "\\" if sys.platform == "win32" else "/"
_FOLDER = __file__.rpartition(_SEPARATOR)[0].rpartition(_SEPARATOR)[0]
#: The beginning of the file. Importlib takes it for bytecode of another version of Python.
_HEADER = b"instrument " + MAGIC_NUMBER

# All functions of these folders and modules are hidden, except those named below. The names are those within the
# package; tests/guest/test_own_loader.py checks that each exists.
_HIDDEN_FOLDERS = ("decode", "flow", "link", "model", "rewrite", "scope", "session")
_HIDDEN_MODULES = frozenset(
    (
        *("guest.atomic_files", "guest.isolation", "hooks.bytecode_readers", "hooks.exec_calls"),
        *("hooks.imports", "trace_runs.choice", "trace_runs.probe_events"),
    )
)
#: Modules of those folders whose functions are all visible. They run rarely, and tests interrupt them line by line.
_VISIBLE_MODULES = frozenset(("flow.conservation", "session.deltas"))
#: Qualified names of visible functions of hidden modules.
_VISIBLE_FUNCTIONS = frozenset(
    (
        # They stand for functions of importlib, which a profiler sees.
        *("_compile_bytecode", "_exec_module"),
        # Warnings are issued at lines of these.
        *("Registry.refuse", "Session._refuse_all"),
        # These count the frames above them.
        *("ProbeEvents._on_probe", "ProbeEvents._on_raise"),
        # These run rarely, and tests interrupt them line by line.
        *("Retirement.retire", "Retirement._retire", "Retirement._take_unused", "Retirement._requeue"),
        *("Retirement.is_retiring", "_is_unused", "Window.bank_counts", "Window._counts_between"),
    )
)

#: Whether functions are hidden. Tests that recognise functions of this package by their frames set this to False before
#: they import anything else.
hides = True

#: The modules in the file, by name, as far as their sources have not changed.
_stored: "dict[str, StoredModule]" = {}
#: The modules that this process loaded from files of their own, by name.
_loaded: "dict[str, StoredModule]" = {}


class _Loader(SourceFileLoader):
    """Executes a module of this package. No code of it is measured, so no hook for imports is called."""

    def exec_module(self, module: "ModuleType") -> None:
        """Execute *module*."""
        vars(module)["__builtins__"] = ours
        use_for_folders(getattr(module, "__path__", ()))
        name = module.__name__
        code, stored = _code_of(self, name)
        exec(code, vars(module))
        if stored is not None:  # after all modules that it imports, which is the order of `execute_stored`
            _loaded[name] = stored


class _Finder(FileFinder):
    """Finds a module of this package among the stored modules, or else by its file."""

    def find_spec(self, fullname: str, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return the spec of the module *fullname*, None if there is no such module."""
        if hides and fullname in _stored:
            is_package, *stamp, _ = _stored[fullname]
            name = fullname.rpartition(".")[2]
            end = f"{_SEPARATOR}__init__.py" if is_package else ".py"
            path = f"{self.path}{_SEPARATOR}{name}{end}"
            if stamp == _stamp_of(path):
                return _spec_of(fullname, path, f"{self.path}{_SEPARATOR}{name}" if is_package else "")
            del _stored[fullname]
        return super().find_spec(fullname, target)


def _spec_of(name: str, path: str, folder: str) -> "ModuleSpec":
    """Return the spec of the module *name* with the source *path*; *folder* is that of a package, or "".

    It lacks the path of a bytecode file: importlib computes that in as much time as it searches for the module.
    [3.12, callgrind: 2 of 181 million instructions of a start with 103 modules]
    """
    spec = ModuleSpec(name, _Loader(name, path), origin=path)
    spec.has_location = True
    spec.cached = ""
    if folder:
        spec.submodule_search_locations = [folder]
    return spec


def _stamp_of(path: str) -> "list[int]":
    """Return time in nanoseconds and size of the file at *path*; an empty list if there is none."""
    try:
        status = system.stat(path)
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size]


def execute_stored() -> None:
    """Execute all stored modules whose sources have not changed, for the start of a measured process.

    The garbage collector is off meanwhile: it would find nothing.
    """
    if not hides:
        return
    from gc import disable, enable, isenabled

    collects = isenabled()
    disable()
    try:
        for name in list(_stored):
            if name not in sys.modules:
                _execute_stored_module(name)
    finally:
        if collects:
            enable()


def _execute_stored_module(name: str) -> None:
    """Execute the stored module *name*, unless its source has changed. Then an import finds its file."""
    is_package, *stamp, code = _stored[name]
    parent, _, child = name.rpartition(".")
    folder = _SEPARATOR.join((_FOLDER, *name.split(".")[1:]))
    path = f"{folder}{_SEPARATOR}__init__.py" if is_package else f"{folder}.py"
    if stamp != _stamp_of(path) or parent not in sys.modules:
        del _stored[name]
        return
    module = _Module(name)
    namespace = vars(module)
    namespace["__builtins__"] = ours
    namespace["__file__"] = path
    namespace["__package__"] = name if is_package else parent
    namespace["__spec__"] = spec = _spec_of(name, path, folder if is_package else "")
    namespace["__loader__"] = spec.loader
    if is_package:
        namespace["__path__"] = [folder]
        use_for_folders([folder])
    sys.modules[name] = module
    try:
        exec(loads(code), namespace)
    except BaseException:
        del sys.modules[name]
        raise
    setattr(sys.modules[parent], child, module)


def _code_of(loader: "_Loader", name: str) -> "tuple[CodeType, StoredModule | None]":
    """Return the code of the module *name* as it is executed, with functions hidden.

    Return it also as it is to be stored; None if it is stored, or has no file.
    """
    if hides and name in _stored:
        return loads(_stored[name][3]), None
    path = loader.get_filename(name)
    stamp = _stamp_of(path)
    code: CodeType = loader.get_code(name)  # type: ignore[assignment]
    if hides:
        code = _with_functions_hidden(code, name.partition(".")[2])
    if not stamp:
        return code, None
    mtime, size = stamp
    return code, (loader.is_package(name), mtime, size, dumps(code))


def _with_functions_hidden(code: "CodeType", module: str) -> "CodeType":
    """Return *code*, that of *module*, a name within the package, with the functions hidden that the tables name."""
    is_in_folder = module.startswith(_FOLDER_PREFIXES) and module not in _VISIBLE_MODULES
    if not is_in_folder and module not in _HIDDEN_MODULES:
        return code
    from instrument.guest.hiding import hide_in

    return hide_in(code, _VISIBLE_FUNCTIONS)


_FOLDER_PREFIXES = tuple(f"{folder}." for folder in _HIDDEN_FOLDERS)


def use_for_folders(folders: "Iterable[str]") -> None:
    """Have modules that are imported from *folders*, the `__path__` of a package, loaded by this loader.

    A package in an archive has no folder, and keeps its own loader.
    """
    for folder in folders:
        finder = _Finder.path_hook((_Loader, [".py"]))
        try:
            sys.path_importer_cache[folder] = finder(folder)
        except ImportError:
            pass


def _path_of_stored() -> str:
    """Return the path of the file with the modules of a start."""
    return cache_from_source(f"{_FOLDER}{_SEPARATOR}_start_modules.py")


def read_stored() -> None:
    """Read the file with the modules of a start, if there is one for this folder and this version of Python."""
    try:
        with open(_path_of_stored(), "rb") as file:
            data = file.read()
        if data.startswith(_HEADER):
            folder, modules = loads(memoryview(data)[len(_HEADER) :])
            if folder == _FOLDER:  # code has the path in it that it was compiled from
                _stored.update(modules)
    except Exception:
        pass  # there is no file, or it is damaged


def write_stored() -> None:
    """Write the file with the modules of a start, if a module was loaded that is not in it.

    Where the interpreter writes no bytecode, or the folder cannot be written to, do nothing.
    """
    if not _loaded or sys.dont_write_bytecode or not hides:
        return
    modules = {**_stored, **_loaded}
    _loaded.clear()
    path = _path_of_stored()
    try:
        from instrument.guest.atomic_files import write_file

        folder = path.rpartition(_SEPARATOR)[0]
        if not _stamp_of(folder):
            system.mkdir(folder)
        mode = system.stat(__file__).st_mode & 0o666 | 0o600
        write_file(path, _HEADER + dumps((_FOLDER, modules)), mode=mode)
    except Exception:
        pass  # the folder is read-only, for example, or an audit hook forbids it
