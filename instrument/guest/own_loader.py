"""The loader of this package's modules. PYTEST_DONT_REWRITE: see `_Loader`.

The name of a module comes in, and its code is executed. The loader gives the module the package's own builtins
(own_builtins), and hides the functions that run in the midst of the program's code (hiding).

Problem: a start loads some sixty modules. Finding and reading that many files, and hiding some three hundred
functions, takes longer than anything else in a start.
Solution: at the end of a start, the code of all modules that were loaded is written to one file, with functions hidden.
The next start reads that file only, and executes the modules in order, each after its imports.
So importlib searches for none of them. [3.12, callgrind, a script of one line, in million instructions: 178 with
importlib, 167 without, 107 with late modules and a start that does less, 94 if nothing is counted, 43 unmeasured] A
module whose source has another time or size is loaded from its own file. The file is the bytecode file of
`instrument/_start_modules.py`, an empty module. So installers remove it with the package, and PYTHONPYCACHEPREFIX and
PYTHONDONTWRITEBYTECODE hold for it.

Late modules (LATE) are modules that a start does not need if all code is in the cache. They rewrite code, or read and
write counts. A function that needs one has an import statement for it.
Problem: by then other threads may hold import locks, and the program may have replaced `__import__`, finders, or
modules of the standard library. A thread may be listing `sys.modules`, which must not grow meanwhile.
Solution: import statements of this package call `own_imports.import_own`. It executes modules of this package without
the import system, and keeps late ones out of `sys.modules`. It takes no lock, and shares only complete modules. If a
second thread needs the module meanwhile, or a signal handler, the module is executed once more there. The execution
that ends first makes the module for all. So the top level of a late module must have no effect outside of the module,
except that a state may be registered twice (process_state).
"""

# No `from __future__ import annotations`: see instrument.guest.
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import (
    MAGIC_NUMBER,
    FileFinder,
    FileLoader,
    SourceFileLoader,
    SourceLoader,
    cache_from_source,
)
from marshal import dumps, loads

from instrument.guest.own_builtins import importlib, ours, system

__builtins__ = ours  # type: ignore[assignment]  # this module is loaded before there is the loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import CodeType, ModuleType
    from typing import Any, TypeVar

    T = TypeVar("T")
    #: A module in the file: whether it is a package; the path of its source, its time in nanoseconds, and its size.
    Stored = tuple[bool, str, int, int]
    #: Paths with times and sizes of the files, and the value that follows from their content.
    Fact = tuple[list[tuple[str, list[int]]], Any]

_Module = type(sys)
_SEPARATOR = "\\" if sys.platform == "win32" else "/"
_FOLDER = __file__.rpartition(_SEPARATOR)[0].rpartition(_SEPARATOR)[0]
_PREFIX = "instrument."
#: The beginning of the file, with the number of its format. Importlib takes it for bytecode of another Python.
_HEADER = b"instrument 2 " + MAGIC_NUMBER

# All functions of these folders and modules are hidden, except those named below. The names are those within the
# package; tests/guest/test_own_loader.py checks that each exists.
_HIDDEN_FOLDERS = ("decode", "flow", "link", "model", "rewrite", "scope", "session")
_HIDDEN_MODULES = frozenset(
    (
        *(
            "guest.atomic_files",
            "guest.isolation",
            "guest.rare.copies",
            "hooks.bytecode_readers",
            "hooks.reader_wrappers",
        ),
        *("hooks.exec_calls", "hooks.imports", "trace_runs.choice", "trace_runs.probe_events"),
    )
)
#: Modules of those folders whose functions are all visible. They run rarely, and tests interrupt them line by line.
_VISIBLE_MODULES = frozenset(("flow.conservation", "flow.fast_recovery", "session.deltas"))
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

#: Qualified names of hidden functions of other modules. The program sees errors of these, and must not see their frames
#: in tracebacks. On 3.11 the frames stay.
_HIDDEN_FUNCTIONS = {
    "hooks.signals": frozenset(
        (
            *("_set_handler", "_get_handler", "_set_wakeup_fd", "_interrupt_main", "_settled_handlers"),
            *("_forget_handled", "_Pipe.is_ours", "_State.usable_pipe"),
        )
    )
}
#: Qualified names of functions that are hidden although they use frames: they count one frame less.
_HIDDEN_WITH_FRAMES = frozenset(("_exchange_in_caller",))

#: The late modules, by their names within the package.
LATE = frozenset(
    (
        *("data.compact", "data.compact.writing", "data.flush_requests"),
        *("data.rows", "data.schema", "data.sqlite", "data.writer"),
        *("decode.call_sites", "decode.exec_calls", "decode.instructions", "decode.line_events"),
        *("decode.location_entries", "decode.locations", "decode.opcodes", "decode.unrolling"),
        *(
            "flow.conservation",
            "flow.exits",
            "flow.fast_recovery",
            "flow.graph",
            "flow.misattributed_raises",
            "flow.packing",
        ),
        *("flow.derived", "flow.derived.code_facts", "flow.placement", "flow.plan", "flow.spanning", "flow.weights"),
        *("errors", "guest.rare", "guest.rare.copies", "guest.rare.thread_states"),
        *("guest.hiding", "hooks.reader_wrappers", "link.recovery_info", "model.plain_values"),
        *("plans", "plans.plan_file", "plans.plan_folder"),
        *("model.counts", "model.measurement", "model.pattern_numbers", "model.probe_counts"),
        *("record.context_changes", "record.contexts", "record.counter_memory", "record.neighbouring_counters"),
        *("record.final_messages", "record.process_counts", "record.process_data", "record.reading"),
        *("rewrite.emitter", "rewrite.jumps", "rewrite.output", "rewrite.path_check", "rewrite.probes"),
        *("rewrite.places", "rewrite.rewriter", "rewrite.routes", "rewrite.stubs", "rewrite.tables"),
        *("rewrite.straight", "rewrite.straight.check", "rewrite.straight.writer", "rewrite.verifier"),
        *("session.deltas", "session.snapshot"),
    )
)

#: Whether functions are hidden. Tests that recognise functions of this package by their frames set this to False before
#: they import anything else.
hides = True

#: The complete modules of this package, by name. `sys.modules` has them, too, except late ones.
modules: "dict[str, ModuleType]" = {}
#: The modules in the file, by name, as far as their sources have not changed.
_stored: "dict[str, Stored]" = {}
#: Where the marshalled code of late modules is in the file: offset and size. Then path and identity of the file.
_late_places: "dict[str, tuple[int, int]]" = {}
_late_file: "list[Any]" = []
#: The marshalled code of late modules, once `hold_late_codes` was called, and of all others together.
_late_codes: "dict[str, bytes]" = {}
_start_codes: "list[bytes]" = []
#: Codes of the others that were not executed yet; not empty once `_start_codes` were unmarshalled.
_unmarshalled: "dict[str, CodeType]" = {}
_are_unmarshalled: "list[bool]" = []
#: The modules that this process loaded from files of their own, by name, with their code.
_loaded: "dict[str, tuple[Stored, CodeType]]" = {}
#: Facts about source files (`fact_about`), and whether this process has found one.
_facts: "dict[str, Fact]" = {}
_new_facts: "list[str]" = []
#: Times and sizes of source files, as this process has first seen them.
_stamps: "dict[str, list[int]]" = {}


class _Loader(FileLoader, SourceLoader):
    """Executes a module of this package. No code of it is measured, so no hook for imports is called.

    Problem: pytest rewrites the assertions in all modules of a distribution with a plugin, and executes them by itself.
    Solution: it rewrites only modules that a `SourceFileLoader` loads. So this is none, and has the same methods.
    Alternative: the word by which pytest spares a module, in the docstrings of all modules. The four modules that are
    imported before this loader exists have it.
    """

    # The same functions in this class, too, would have no class for `trace`, which searches for the only one.

    def path_stats(self, path: str) -> "Mapping[str, Any]":
        """Return the time and the size of the file at *path*."""
        return SourceFileLoader.path_stats(self, path)  # type: ignore[arg-type]

    def set_data(self, path: str, data: bytes, **how: int) -> None:
        """Write *data* to the file at *path*."""
        SourceFileLoader.set_data(self, path, data, **how)  # type: ignore[arg-type]

    def _cache_bytecode(self, source_path: str, bytecode_path: str, data: bytes) -> None:
        """Write *data* to the bytecode file of a source file."""
        SourceFileLoader._cache_bytecode(self, source_path, bytecode_path, data)  # type: ignore[attr-defined]

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        """Return the late module of *spec* if it was executed without the import system; else None."""
        return modules.get(spec.name) if spec.name not in sys.modules and is_late(spec.name) else None

    def exec_module(self, module: "ModuleType") -> None:
        """Execute *module*, unless it is a late module that was executed before."""
        name = module.__name__
        use_for_folders(getattr(module, "__path__", ()))
        if modules.get(name) is module and is_late(name):
            return
        vars(module)["__builtins__"] = ours
        exec(code_of(name, self.get_filename(name), self.is_package(name), self), vars(module))
        modules[name] = module


class _Finder(FileFinder):
    """Finds a module of this package among the stored modules, or else by its file."""

    def find_spec(self, fullname: str, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return the spec of the module *fullname*, None if there is no such module."""
        path = path_if_stored(fullname)
        if path:
            return spec_of(fullname, path, _stored[fullname][0])
        return super().find_spec(fullname, target)


def spec_of(name: str, path: str, is_package: bool) -> "ModuleSpec":
    """Return the spec of the module *name* with the source *path*.

    It lacks the path of a bytecode file: importlib computes that in as much time as it searches for the module.
    [3.12, callgrind: 2 of 181 million instructions of a start with 103 modules]
    """
    spec = ModuleSpec(name, _Loader(name, path), origin=path)  # type: ignore[arg-type]
    # The setter of `has_location` would call `bool`, which the program may have replaced.
    spec._set_fileattr = True  # type: ignore[attr-defined]
    spec.cached = ""
    if is_package:
        spec.submodule_search_locations = [path.rpartition(_SEPARATOR)[0]]
    return spec


def _stamp_of(path: str) -> "list[int]":
    """Return time in nanoseconds and size of the file at *path*; an empty list if there is none."""
    try:
        status = system.stat(path)
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size]


def _first_stamp_of(path: str) -> "list[int]":
    """Return the result of `_stamp_of` as of the first time that this process asked for it."""
    stamp = _stamps.get(path)
    if stamp is None:
        stamp = _stamps[path] = _stamp_of(path)
    return stamp


def is_late(name: str) -> bool:
    """Return whether *name* is the name of a late module."""
    return name[len(_PREFIX) :] in LATE


def path_of(name: str, is_package: bool) -> str:
    """Return the path of the source of the module *name* of this package."""
    end = f"{_SEPARATOR}__init__.py" if is_package else ".py"
    return f"{_FOLDER}{_SEPARATOR}{name[len(_PREFIX) :].replace('.', _SEPARATOR)}{end}"


def locate(name: str) -> "tuple[str, bool]":
    """Return the path of the source of the module *name*, and whether it is a package; ("", False) if there is none."""
    path = path_if_stored(name)
    if path:
        return path, _stored[name][0]
    for is_package in (False, True):
        path = path_of(name, is_package)
        if _stamp_of(path):
            return path, is_package
    return "", False


def path_if_stored(name: str) -> str:
    """Return the path of the source of the module *name*; "" if the module is not stored, or its source has changed."""
    stored = _stored.get(name) if hides else None
    if stored is None:
        return ""
    _, path, *stamp = stored
    if stamp == _first_stamp_of(path):
        return path
    del _stored[name]
    if name in _late_places:
        _remove_file()
    return ""


def _remove_file() -> None:
    """Remove the file that the start has read, so that the next start makes a new one: a late module has changed.

    This process loads the module later than it would write the file.
    """
    path, identity = _late_file or ("", None)
    try:
        if not sys.dont_write_bytecode and _identity(system.stat(path)) == identity:
            system.unlink(path)
    except OSError:  # the program has changed its rights, for example
        pass


def code_of(name: str, path: str, is_package: bool, loader: "Any") -> "CodeType":
    """Return the code of the module *name* as it is executed, with functions hidden.

    If it is not stored, have *loader* read the file at *path*, and note that it is to be stored. Call `locate` before,
    or `find_spec`: these find out whether the source has changed.
    """
    if hides and name in _stored:
        if name in _late_places:
            marshalled = _late_codes.get(name) or _read_late((name,)).get(name)
            if marshalled is not None:
                late_code: CodeType = loads(marshalled)
                return late_code
        if not _are_unmarshalled:
            _are_unmarshalled.append(True)
            _unmarshalled.update(loads(_start_codes[0]))
        if name in _unmarshalled:
            return _unmarshalled.pop(name)
    stamp = _stamp_of(path)
    if is_late(name):  # the program may have replaced functions of importlib, or functions that these call
        loader = importlib()[1].SourceFileLoader(name, path)
    code: CodeType = loader.get_code(name)
    if hides:
        code = _with_functions_hidden(code, name[len(_PREFIX) :])
    if stamp:
        _loaded[name] = (is_package, path, *stamp), code  # type: ignore[assignment]
    return code


def _with_functions_hidden(code: "CodeType", module: str) -> "CodeType":
    """Return *code*, that of *module*, a name within the package, with the functions hidden that the tables name."""
    is_in_folder = module.startswith(_FOLDER_PREFIXES) and module not in _VISIBLE_MODULES
    hidden = _HIDDEN_FUNCTIONS.get(module)
    hides_all = is_in_folder or module in _HIDDEN_MODULES
    if module == _HIDING or not (hides_all or hidden or module in LATE):
        return code
    from instrument.guest.hiding import hide_in

    def is_hidden(name: str) -> bool:
        return name in hidden if hidden else hides_all and name not in _VISIBLE_FUNCTIONS

    return hide_in(code, is_hidden, _HIDDEN_WITH_FRAMES, hides_body=module in LATE)


#: The module that hides functions has hidden its own.
_HIDING = "guest.hiding"
_FOLDER_PREFIXES = tuple(f"{folder}." for folder in _HIDDEN_FOLDERS)


def use_for_folders(folders: "Iterable[str]", is_folder: bool = False) -> None:
    """Have modules that are imported from *folders*, the `__path__` of a package, loaded by this loader.

    A package in an archive has no folder, and keeps its own loader. *is_folder* says that it has one.
    """
    for folder in folders:
        if is_folder or _is_folder(folder):
            sys.path_importer_cache[folder] = _Finder(folder, (_Loader, [".py"]))  # type: ignore[arg-type]


def _is_folder(path: str) -> bool:
    """Return whether *path* is that of a folder."""
    try:
        return bool(system.stat(path).st_mode & 0o170000 == 0o040000)
    except OSError:
        return False


def fact_about(paths: "Sequence[str]", name: str, find: "Callable[[], T]") -> "T":
    """Return the result of *find*, which follows from the content of the files or folders at *paths*.

    It is stored under *name*, and returned without calling *find* as long as none of them has changed.
    """
    stamps = [(path, _first_stamp_of(path)) for path in paths]
    known = _facts.get(name)
    if known is not None and known[0] == stamps:
        value: T = known[1]
        return value
    value = find()
    _facts[name] = stamps, value
    _new_facts.append(name)
    return value


# The file has a header, the lengths of an index and of the next piece in 8 bytes each, the index, and marshalled codes.
# Those of all modules that are not late are the first piece, because unmarshalling them together takes a quarter less
# time. Each late module is one piece. A start reads no more than the first: each page of memory costs time.

_N_SIZE = 8


def _path_of_stored() -> str:
    """Return the path of the file with the modules of a start."""
    return cache_from_source(f"{_FOLDER}{_SEPARATOR}_start_modules.py")


def read_stored() -> None:
    """Read the file with the modules of a start, if there is one for this folder and this version of Python."""
    try:
        path = _path_of_stored()
        if path[:1] != _SEPARATOR and _SEPARATOR == "/":  # the program may change the working directory
            path = f"{system.getcwd()}{_SEPARATOR}{path}"
        with open(path, "rb", 0) as file:
            head = file.read(len(_HEADER) + 2 * _N_SIZE)
            if head[: len(_HEADER)] != _HEADER:
                return
            n_index, n_start = (
                int.from_bytes(head[end - _N_SIZE : end], "little") for end in (len(head) - _N_SIZE, len(head))
            )
            index, start = file.read(n_index), file.read(n_start)
            status = system.fstat(file.fileno())
        folder, stored, facts, sizes = loads(index)
        end = len(head) + n_index + n_start
        # Code has the path that it was compiled from.
        if folder != _FOLDER or len(start) != n_start or end + sum(sizes.values()) != status.st_size:
            return
        for name, size in sizes.items():
            _late_places[name] = end, size
            end += size
        _late_file[:] = path, _identity(status)
        _start_codes.append(start)
        _stored.update(stored)
        _facts.update(facts)
    except Exception:
        pass  # there is no file, or it is damaged


def _identity(status: "Any") -> "list[int]":
    """Return the identity of the file with this *status*: another file in its place has another one."""
    return [status.st_ino, status.st_dev, status.st_mtime_ns, status.st_size]


def _read_late(names: "Iterable[str]") -> "dict[str, bytes]":
    """Return the marshalled code of the late modules *names*, none if the file that the start has read is gone."""
    codes: dict[str, bytes] = {}
    path, identity = _late_file or ("", None)
    try:
        with open(path, "rb", 0) as file:
            if _identity(system.fstat(file.fileno())) == identity:
                for name in names:
                    offset, size = _late_places[name]
                    file.seek(offset)
                    codes[name] = file.read(size)
    except OSError:
        pass
    return {name: code for name, code in codes.items() if len(code) == _late_places[name][1]}


def hold_late_codes() -> None:
    """Read the code of all late modules now: the program may change its files or rights, or replace this package."""
    _late_codes.update(_read_late([name for name in _late_places if name not in _late_codes]))


def write_stored() -> None:
    """Write the file with the modules of a start, and the late ones, if a module was loaded that is not in it.

    Where the interpreter writes no bytecode, or the folder cannot be written to, do nothing.
    """
    if not (_loaded or _new_facts) or sys.dont_write_bytecode or not hides:
        return
    path = _path_of_stored()
    try:
        from instrument.guest.atomic_files import write_file

        folder = path.rpartition(_SEPARATOR)[0]
        if not _stamp_of(folder):
            system.mkdir(folder)
        mode = system.stat(__file__).st_mode & 0o666 | 0o600
        write_file(path, _content_to_store(), mode=mode)
    except Exception:
        pass  # the folder is read-only, for example, or an audit hook forbids it


def _content_to_store() -> bytes:
    """Return the content of the file: the modules that were in it, and others that this process has loaded."""
    from instrument.guest.hiding import without_docstrings

    hold_late_codes()  # first, because `locate` removes the file if a late module has changed
    for module in LATE:
        name = f"{_PREFIX}{module}"
        path, is_package = locate(name)
        if not (path_if_stored(name) and name in _late_codes) and name not in _loaded:
            code_of(name, path, is_package, SourceFileLoader(name, path))
    codes = loads(_start_codes[0]) if _start_codes else {}
    codes = {name: code for name, code in codes.items() if name in _stored}
    codes.update((name, without_docstrings(code)) for name, (_, code) in _loaded.items() if not is_late(name))
    start = dumps(codes)
    pieces = {name: code for name, code in _late_codes.items() if name in _stored}
    pieces.update((name, dumps(without_docstrings(code))) for name, (_, code) in _loaded.items() if is_late(name))
    stored = {name: stored for name, stored in _stored.items() if name in codes or name in pieces}
    stored.update((name, stored) for name, (stored, _) in _loaded.items())
    index = dumps((_FOLDER, stored, _facts, {name: len(piece) for name, piece in pieces.items()}))
    _loaded.clear()
    _new_facts.clear()
    sizes = (len(each).to_bytes(_N_SIZE, "little") for each in (index, start))
    return b"".join((_HEADER, *sizes, index, start, *pieces.values()))
