"""Lists the Python files that belong to files, folders, and names of modules and packages.

Input: the arguments of `instrument warm`. Output: absolute paths as an import would spell them. Each argument or file
that cannot be used gets an `Outcome`. No package is imported for it.
"""

from __future__ import annotations

import os
import stat
import sys
from importlib.machinery import PathFinder, SourceFileLoader, SourcelessFileLoader

from instrument.link.source_versions import LARGEST
from instrument.warming.outcomes import Outcome, Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_CODE = "has no Python code in a file of its own"


def python_files(names: list[str], failures: list[Outcome]) -> Iterator[str]:
    """Yield the path of each Python file that belongs to *names*; append an outcome for the others to *failures*."""
    for name in names:
        if os.path.isdir(name):
            yield from _files_below(_spelled_as_imported(os.path.abspath(name)), failures)
        elif os.path.exists(name):
            if _is_readable(name, failures):
                yield _spelled_as_imported(os.path.abspath(name))
        else:
            yield from _files_of_module(name, failures)


def _files_below(folder: str, failures: list[Outcome]) -> Iterator[str]:
    """Yield the sources in *folder* and below, and the bytecode files that have no source beside them."""

    def add_failure(error: OSError) -> None:
        failures.append(Outcome(error.filename or folder, Result.FAILED, f"cannot be read: {error.strerror}"))

    for parent, folders, names in os.walk(folder, onerror=add_failure):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(names):
            base, extension = os.path.splitext(name)
            if extension == ".py" or (extension == ".pyc" and f"{base}.py" not in names):
                path = os.path.join(parent, name)
                if _is_readable(path, failures):
                    yield path


def _is_readable(path: str, failures: list[Outcome]) -> bool:
    """Return whether *path* is a regular file of the size of a source; if not, append an outcome to *failures*."""
    try:
        status = os.stat(path)
    except OSError:  # the loader will give the reason
        return True
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
        reason = "is no regular file" if status.st_size <= LARGEST else "is too large for a source"
        failures.append(Outcome(path, Result.FAILED, reason))
        return False
    return True


def _files_of_module(name: str, failures: list[Outcome]) -> Iterator[str]:
    """Yield the files of the module or package *name*, found without importing its parent packages."""
    spec, folders = None, None
    full_name = ""
    for part in name.split("."):
        full_name = f"{full_name}.{part}" if full_name else part
        try:
            spec = PathFinder.find_spec(full_name, folders) if part.isidentifier() else None
        except (ImportError, OSError, ValueError):
            spec = None
        if spec is None:
            not_found = "is no file, no folder, and no module that can be found from here"
            reason = _NO_CODE if full_name in sys.builtin_module_names else not_found
            failures.append(Outcome(name, Result.FAILED, reason))
            return
        folders = list(spec.submodule_search_locations or ())
    assert spec is not None
    for folder in folders or ():
        if os.path.isdir(folder):
            yield from _files_below(folder, failures)
        else:
            reason = "is no folder; code in archives is prepared when it is imported"
            failures.append(Outcome(folder, Result.FAILED, reason))
    if folders:
        return
    if spec.origin and isinstance(spec.loader, SourceFileLoader | SourcelessFileLoader):
        yield spec.origin
    else:
        failures.append(Outcome(name, Result.FAILED, _NO_CODE))


def _spelled_as_imported(path: str) -> str:
    """Return the absolute *path* as an import spells it: below the entry of `sys.path` that contains the file.

    The cache finds modules by their paths, and links give one file several paths.
    """
    real = os.path.realpath(path)
    entries = [(os.path.realpath(entry), entry) for entry in map(os.path.abspath, sys.path)]
    # The innermost entry wins, because the module's name begins there; among its spellings, the one in `path` wins.
    candidates = [
        (len(real_entry), _is_below(path, entry), entry, real_entry)
        for real_entry, entry in entries
        if _is_below(real, real_entry)
    ]
    if not candidates:
        return path
    _, is_spelled_so, entry, real_entry = max(candidates)
    return path if is_spelled_so else os.path.normpath(os.path.join(entry, os.path.relpath(real, real_entry)))


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
