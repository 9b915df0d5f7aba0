"""Fill the cache of rewritten code, so that the first measured start is as fast as the second.

Files, folders and names of packages come in; the cache holds what importing them will look for, and what could not be
read, compiled or kept is named. A module is kept by its path and by the bytecode that the interpreter has of it. So
each file goes through the import system's own loader, which finds, checks or writes the file in `__pycache__` as an
import would, under the same `-O`, `-B`, `PYTHONPYCACHEPREFIX` and `--check-hash-based-pycs`; where it may write none,
a later import compiles, and finds what was kept by the code itself. Nothing of the program is executed, nor any package
above a name that is given.

Processes share the work, largest files first. Ctrl-C lets each finish the file it has begun, so that nothing
half-written is left; a second one does not wait. What the cache holds of sources that are gone is removed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import stat
import sys
import threading
import time
import warnings
from functools import partial
from importlib.machinery import BYTECODE_SUFFIXES, SOURCE_SUFFIXES, PathFinder, SourceFileLoader, SourcelessFileLoader
from importlib.util import spec_from_file_location
from multiprocessing import active_children, get_context, parent_process

from instrument.analysis.sources import LARGEST
from instrument.errors import InstrumentError
from instrument.flow import placement
from instrument.guest import isolation
from instrument.hooks import imports
from instrument.link.cache import Batch, open_cache
from instrument.link.counters import nested_code
from instrument.link.module_import import ModuleImport
from instrument.report.tables import say, shown
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from multiprocessing.process import BaseProcess
    from types import CodeType
    from typing import Any

    #: Path of a file, and what became of it: KEPT, KNOWN, or why it is neither.
    Outcome = tuple[str, str]

KEPT = "kept"
KNOWN = "known"
#: Before the reason, if the code is sound but cannot be rewritten: it will run uncounted, and there is no way out.
REFUSED = "not rewritten: "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to *parser*."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, a folder, or the name of a package or module")
    parser.add_argument("-j", "--jobs", type=_number, help="how many processes share the work (default: one a core)")
    parser.add_argument(
        "--placement",
        choices=placement.PLACEMENTS,
        default=placement.MINIMAL,
        help="how it will be counted: minimal, by `instrument run`, INSTRUMENT or Trace; or as Trace(placement=…) says "
        "(default: %(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print only what goes wrong")


def execute(options: argparse.Namespace) -> int:
    """Fill the cache as *options* say; return the exit status."""
    cache = open_cache(options.placement)
    if cache.trouble:
        raise InstrumentError(
            f"there is no cache to fill: {cache.trouble}; INSTRUMENT_CACHE can name a folder that is yours alone"
        )
    missing: list[Outcome] = []
    files = sorted(dict.fromkeys(_all_files(options.paths, missing)), key=_size, reverse=True)
    progress = Progress(len(files), options.quiet)
    for outcome in missing:
        progress.add(outcome)
    try:
        for outcome in _fill(files, options.placement, min(options.jobs or _n_cores(), len(files))):
            progress.add(outcome)
    except KeyboardInterrupt:
        progress.end("interrupted")
        return 1
    cache.tidy()
    progress.end("done")
    return 1 if progress.n_failed else 0


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} processes cannot do anything; it takes at least 1")
    return number


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


# What there is to do ##################################################################################################


def _all_files(paths: list[str], missing: list[Outcome]) -> Iterator[str]:
    """Yield the Python files of *paths*, each as the import system spells it; add what is not found to *missing*."""
    for path in paths:
        if os.path.isdir(path):
            yield from _files_below(_spelled(os.path.abspath(path)), missing)
        elif os.path.exists(path):
            if _can_be_read(path, missing):
                yield _spelled(os.path.abspath(path))
        else:
            yield from _files_of_module(path, missing)


def _files_below(folder: str, missing: list[Outcome]) -> Iterator[str]:
    def failed(error: OSError) -> None:
        missing.append((error.filename or folder, f"cannot be read: {error.strerror}"))

    for where, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(names):
            base, extension = os.path.splitext(name)
            if extension == ".py" or (extension == ".pyc" and f"{base}.py" not in names):
                path = os.path.join(where, name)
                if _can_be_read(path, missing):
                    yield path


def _can_be_read(path: str, missing: list[Outcome]) -> bool:
    """Return whether the file at *path* is a regular one of a size that sources have; else add it to *missing*."""
    try:
        status = os.stat(path)
    except OSError:  # the loader says why
        return True
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
        missing.append((path, "is no regular file" if status.st_size <= LARGEST else "is too large for a source"))
        return False
    return True


def _files_of_module(name: str, missing: list[Outcome]) -> Iterator[str]:
    """Yield the files of the module or package *name*, which is found without importing what is above it."""
    spec, folders = None, None
    full = ""
    for part in name.split("."):
        full = f"{full}.{part}" if full else part
        try:
            spec = PathFinder.find_spec(full, folders) if part.isidentifier() else None
        except (ImportError, OSError, ValueError):
            spec = None
        if spec is None:
            nowhere = "is no file, no folder, and no module that can be found"
            missing.append((name, _WITHOUT if full in sys.builtin_module_names else nowhere))
            return
        folders = list(spec.submodule_search_locations or ())
    assert spec is not None
    if folders:
        for folder in folders:
            if os.path.isdir(folder):
                yield from _files_below(folder, missing)
            else:
                missing.append((folder, "is no folder; what is imported from archives is kept when that is done"))
    elif spec.origin and isinstance(spec.loader, SourceFileLoader | SourcelessFileLoader):
        yield spec.origin
    else:
        missing.append((name, _WITHOUT))


_WITHOUT = "has no Python code in a file of its own"


def _spelled(path: str) -> str:
    """Return the absolute *path* as an import would: below the entry of `sys.path` that it is in, by way of links too.

    A module is kept by its path: one and the same file has as many as there are links to it.
    """
    real = os.path.realpath(path)
    entries = [(os.path.realpath(entry), entry) for entry in map(os.path.abspath, sys.path)]
    # The innermost, for that is where its name begins; of several spellings the one that was given.
    below = [(len(at), _is_below(path, entry), entry, at) for at, entry in entries if _is_below(real, at)]
    if not below:
        return path
    _, as_given, entry, at = max(below)
    return path if as_given else os.path.normpath(os.path.join(entry, os.path.relpath(real, at)))


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


# Doing it #############################################################################################################


def _fill(files: list[str], where: str, n_processes: int) -> Iterator[Outcome]:
    """Keep the code of *files* in the cache for the placement *where*; yield what became of each as it is done."""
    if n_processes < 2:
        with warnings.catch_warnings():
            _prepare(where)
            for path in files:
                yield fill(path, where)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # Neither forked, for who calls us may have threads, nor by way of a server that would live on.
    executor = ProcessPoolExecutor(n_processes, get_context("spawn"), _begin, (where,))
    with _finishing(executor):
        with _interrupts_held():  # the processes inherit that: they end with us, not with Ctrl-C
            waiting = {executor.submit(fill, path, where): path for path in files}
        for future in as_completed(waiting):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield waiting[future], "a process ended before it was done; is there too little memory for --jobs?"


@contextlib.contextmanager
def _finishing(executor: Executor) -> Iterator[None]:
    """Let what *executor* has begun be done, and no more, whatever is raised; SIGTERM is as good as Ctrl-C."""
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        try:
            executor.shutdown(wait=True, cancel_futures=True)
        except KeyboardInterrupt:
            for process in active_children():
                process.kill()
            raise
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let no interrupt in; one that comes meanwhile is raised at the end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(where: str) -> None:
    """Get a process ready to `fill`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (parent := parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _prepare(where)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _prepare(where: str) -> None:
    warnings.simplefilter("ignore")  # what compiling warns of it says when the program does it
    isolation.load()
    session(where).unlinked_code.cache()


def fill(path: str, where: str) -> Outcome:
    """Keep what importing the file at *path* will look for; return what became of it."""
    loader: Any  # for typeshed of 3.15, these are no loaders
    base, extension = os.path.splitext(os.path.basename(path))
    if extension in SOURCE_SUFFIXES:
        loader = SourceFileLoader(base, path)
    elif extension in BYTECODE_SUFFIXES:
        loader = SourcelessFileLoader(base, path)
    else:
        return path, f"is no Python file: its name does not end in {' or '.join(SOURCE_SUFFIXES)}"
    filler = _Filler(where)
    try:
        # What is compiled the first time is written to a file of bytecode, if that may be, and found there then.
        for filler.settles_for_code in (False, True):
            imports.install(filler)
            try:
                spec = spec_from_file_location(base, path, loader=loader)
                names: dict[str, object] = {"__name__": base, "__file__": path, "__spec__": spec}
                imports.module_code(ModuleImport(names, partial(loader.get_code, base), loader))
            finally:
                imports.uninstall(filler)
            if filler.outcome:
                break
    except Exception as error:
        return path, f"{type(error).__name__}: {error}"
    return path, filler.outcome


class _Filler:
    """Stands where a measurement would, and keeps the code that is loaded; *outcome* says what became of it."""

    def __init__(self, where: str) -> None:
        self._unlinked_code = session(where).unlinked_code
        self.outcome = ""
        self.settles_for_code = False

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Keep what *code* is rewritten to; without a file of bytecode only if that *settles_for_code*."""
        if (
            module_import is not None
            and (module_import.bytecode is not None or self.settles_for_code)
            and not self.outcome
        ):
            # Without a file of bytecode, `code_for_cached_bytecode` cannot look it up: the cache knows it by the code
            # alone.
            if module_import.bytecode is None and Batch(self._unlinked_code.cache()).get(nested_code(code)) is not None:
                self.outcome = KNOWN
                return code
            kept, why = self._unlinked_code.cache_module(code, module_import)
            if why:
                self.outcome = f"{REFUSED}{why}"
            elif kept:
                self.outcome = KEPT
            else:
                self.outcome = f"cannot be written to {self._unlinked_code.cache().folder}: is there no space left?"
        return code

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Do no more if all is there."""
        if self._unlinked_code.cached_module(module_import) is not None:
            self.outcome = KNOWN
            return _NOTHING
        return None

    def original_of(self, code: CodeType) -> CodeType:
        """Return *code*, which nobody has changed."""
        return code


_NOTHING = compile("", "<nothing>", "exec")


# Saying so ############################################################################################################


class Progress:
    """Says on standard error how far *total* files are: by a bar on a terminal, and by what goes wrong; at the end, in
    one line. *quiet*: what goes wrong alone.
    """

    def __init__(self, total: int, quiet: bool) -> None:
        self.n_failed = 0
        self._numbers = {KEPT: 0, KNOWN: 0, REFUSED: 0}
        self._total = total
        self._quiet = quiet
        self._bar = not quiet and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._drawn = 0.0

    def add(self, outcome: Outcome) -> None:
        """Take note of *outcome*, and name it unless all is well."""
        path, what = outcome
        if what in self._numbers:
            self._numbers[what] += 1
        else:
            if what.startswith(REFUSED):
                self._numbers[REFUSED] += 1
            else:
                self.n_failed += 1
            self._wipe()
            say([f"instrument: {path}: {what}"], sys.stderr)
        if self._bar and time.monotonic() - self._drawn > 0.05:
            self._draw(path)

    def end(self, word: str) -> None:
        """Print the last line, which begins with *word*."""
        self._wipe()
        if self._quiet:
            return
        parts = [f"{self._numbers[KEPT]} kept", f"{self._numbers[KNOWN]} known before"]
        parts += [f"{self._numbers[REFUSED]} that cannot be rewritten"] if self._numbers[REFUSED] else []
        parts += [f"{self.n_failed} failed"] if self.n_failed else []
        seconds = time.monotonic() - self._begin
        files = "1 file" if self._total == 1 else f"{self._total} files"
        print(f"instrument: {word}: {files} in {seconds:.1f} s: {', '.join(parts)}", file=sys.stderr)

    def _draw(self, path: str) -> None:
        columns = shutil.get_terminal_size().columns
        done = min(sum(self._numbers.values()) + self.n_failed, self._total)
        width = max(min(30, columns - 30), 1)
        bar = "#" * (width * done // max(self._total, 1))
        line = f"[{bar:{width}}] {done}/{self._total} "
        room = columns - len(line) - 1
        path = shown(path)
        name = path if len(path) <= room else f"…{path[len(path) - room + 1 :]}" if room > 1 else ""
        print(f"\r\x1b[K{line}{name}", end="", flush=True, file=sys.stderr)
        self._drawn = time.monotonic()

    def _wipe(self) -> None:
        if self._drawn:
            print("\r\x1b[K", end="", flush=True, file=sys.stderr)
            self._drawn = 0.0
