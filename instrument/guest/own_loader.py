"""The loader of this package's modules.

A module's name comes in, and its code is executed. It gets builtins of our own (own_builtins), and its functions that
work while the program runs are hidden from those who watch the program (instrument.guest.hiding).

All modules that a start needs come from one file, which holds their code as it is executed. To look for forty files,
to read them, and to hide three hundred functions takes longer. [3.12, callgrind, a script of one line: 184 million
instructions without the file, 150 with it, 43 unmeasured] The file is written at the end of a start that did without.
It is the bytecode file of `instrument/guest/_together.py`: installers remove that with the package, and
PYTHONPYCACHEPREFIX
and PYTHONDONTWRITEBYTECODE hold for it. A module whose source has another time or size is loaded from its own file.
"""

# No `from __future__ import annotations`: this is imported before the program, which may be the first to import that.
import sys
from _frozen_importlib_external import (  # type: ignore[attr-defined]
    MAGIC_NUMBER,
    FileFinder,
    SourceFileLoader,
    _write_atomic,
    cache_from_source,
    spec_from_file_location,
)
from marshal import dumps, loads

from instrument.guest.own_builtins import ours, system

__builtins__ = ours  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    #: Of a module: whether it is a package, when its source was changed, in nanoseconds, its size, and its code.
    Kept = tuple[bool, int, int, bytes]

_SEPARATOR = "\\" if sys.platform == "win32" else "/"
_PACKAGE = "instrument"
_HOME = __file__.rpartition(_SEPARATOR)[0]
#: Begins the file; importlib takes it for bytecode of another version.
_HEADER = b"instrument " + MAGIC_NUMBER

#: Modules with functions that are hidden: which ones, where not all; and which ones not.
#: Warnings are issued at lines of `Registry.refuse` and `Session._refuse_all`. `ProbeEvents` counts the frames above
#: its functions. Those of retirement and of deltas run rarely, and tests interrupt them line by line.
_HIDING: "dict[str, tuple[frozenset[str] | None, frozenset[str]]]" = {
    **{
        f"{_PACKAGE}.{name}": (None, frozenset())
        for name in (
            *(
                "guest.isolation",
                "model.counts",
                "flow.graph",
            ),
            *("rewrite.constant_layout", "rewrite.emitter", "rewrite.jumps", "rewrite.output", "rewrite.path_check"),
            *("rewrite.probes", "rewrite.rewriter", "rewrite.routes", "rewrite.stubs", "rewrite.tables"),
            *("rewrite.unlinked", "rewrite.verifier"),
            *("flow.packing", "flow.plan", "flow.placement", "flow.exits", "flow.weights", "flow.spanning"),
            *("flow.misattributed_raises", "decode.call_sites"),
            *("decode.exec_calls", "decode.opcodes"),
            *("decode.instructions", "decode.line_events", "decode.unrolling", "link.cache", "link.counters"),
            *("link.exec_free", "link.fast_linking", "link.module_import", "link.source_versions"),
            *("hooks.bytecode_readers", "hooks.exec_calls", "scope.project"),
            *("scope.trace_ignore", "scope.same_name", "session.existing_functions", "session.garbage_collector"),
            *("session.instrumenter", "session.originals", "session.scoped", "session.snapshot"),
            *("session.unlinked_code", "trace_runs.choice"),
        )
    },
    # Two stand for functions of importlib, which are seen.
    f"{_PACKAGE}.hooks.imports": (None, frozenset(("_compile_bytecode", "_exec_module"))),
    f"{_PACKAGE}.session.registry": (None, frozenset(("Registry.refuse",))),
    f"{_PACKAGE}.session.session": (None, frozenset(("Session._refuse_all",))),
    f"{_PACKAGE}.session.retirement": (
        None,
        frozenset(
            (
                *("Retirement.retire", "Retirement._retire", "Retirement._take_unused", "Retirement._requeue"),
                *("Retirement.is_retiring", "_is_unused"),
            )
        ),
    ),
    f"{_PACKAGE}.session.window": (None, frozenset(("Window.bank_counts", "Window._counts_between"))),
    f"{_PACKAGE}.trace_runs.probe_events": (None, frozenset(("ProbeEvents._on_probe", "ProbeEvents._on_raise"))),
}

#: Whether functions are hidden; tests that know our work by its frames turn that off before anything else is loaded.
hides = True

_kept: "dict[str, Kept]" = {}
_loaded: "dict[str, Kept]" = {}


class _Loader(SourceFileLoader):
    """Executes a module of this package. Nothing of it is measured, so no hook is asked."""

    def exec_module(self, module: "ModuleType") -> None:
        """Execute *module*."""
        vars(module)["__builtins__"] = ours
        give_to_modules_in(getattr(module, "__path__", ()))
        exec(_code(self, module.__name__), vars(module))


class _Finder(FileFinder):
    """Finds modules of this package in the file that holds those of a start, else in files of their own."""

    def find_spec(self, fullname: str, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        """Return the spec of the module *fullname*, None if there is none."""
        if hides and fullname in _kept:
            is_package, *stamp, _ = _kept[fullname]
            name = fullname.rpartition(".")[2]
            end = f"{_SEPARATOR}__init__.py" if is_package else ".py"
            path = f"{self.path}{_SEPARATOR}{name}{end}"
            if stamp == _stamp_of(path):
                folders = [f"{self.path}{_SEPARATOR}{name}"] if is_package else None
                return spec_from_file_location(
                    fullname, path, loader=_Loader(fullname, path), submodule_search_locations=folders
                )
            del _kept[fullname]
        return super().find_spec(fullname, target)


def _stamp_of(path: str) -> "list[int]":
    try:
        status = system.stat(path)
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size]


def _code(loader: "_Loader", name: str) -> "CodeType":
    """Return the code of the module *name* that is executed."""
    if hides and name in _kept:
        code: CodeType = loads(_kept[name][3])
        return code
    path = loader.get_filename(name)
    stamp = _stamp_of(path)
    code = loader.get_code(name)  # type: ignore[assignment]
    if name in _HIDING and hides:
        from instrument.guest.hiding import hide_in

        code = hide_in(code, *_HIDING[name])
    if stamp:
        mtime, size = stamp
        _loaded[name] = loader.is_package(name), mtime, size, dumps(code)
    return code


def give_to_modules_in(folders: "Iterable[str]") -> None:
    """Let modules that are imported from *folders*, those of a package of ours, have this loader.

    A package that is no folder, in an archive for example, is left as it is.
    """
    for folder in folders:
        finder = _Finder.path_hook((_Loader, [".py"]))
        try:
            sys.path_importer_cache[folder] = finder(folder)
        except ImportError:
            pass


def _together() -> str:
    """Return the path of the file that holds the modules of a start."""
    return cache_from_source(f"{_HOME}{_SEPARATOR}_together.py")


def load_together() -> None:
    """Have the modules that a start needs loaded from the one file, if there is one for this place and version."""
    try:
        with open(_together(), "rb") as file:
            data = file.read()
        if data.startswith(_HEADER):
            home, kept = loads(memoryview(data)[len(_HEADER) :])
            if home == _HOME:
                _kept.update(kept)
    except Exception:
        pass  # there is none, or it is damaged


def keep_together() -> None:
    """Write that file, if a module of this start was not in it; where bytecode is not written, do nothing."""
    if not _loaded or sys.dont_write_bytecode or not hides:
        return
    kept = {**_kept, **_loaded}
    _loaded.clear()
    path = _together()
    try:
        folder = path.rpartition(_SEPARATOR)[0]
        if not _stamp_of(folder):
            system.mkdir(folder)
        mode = system.stat(__file__).st_mode & 0o666 | 0o600
        _write_atomic(path, _HEADER + dumps((_HOME, kept)), mode)
    except Exception:
        pass  # the folder is read-only, say, or an audit hook forbids it
