"""RecordedRun: the record of a test run whose counts were saved apart for each test.

The record has facts that the counts lack: the tests, their outcomes and order, the files of the project,
distributions, and the options of pytest. The pytest plugin writes it to the data folder. A record is read
without trust in it: DataError names a file that is damaged.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import NamedTuple

from instrument.data.data_files import SUFFIX_OF_RECORDS, records_in
from instrument.errors import DataError
from instrument.guest.atomic_files import replace_file, write_all
from instrument.guest.trusted_files import read_regular
from instrument.scope.project import INSTALLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from instrument.analysis.revisions.git import Repository

FORMAT = 2
#: Bytes: the largest record that is read.
_LARGEST = 1 << 28
#: Bytes: the largest source whose text a record has.
_LARGEST_TEXT = 1 << 20
#: The outcome of a test that passed, was skipped, or failed as expected.
PASSED = "passed"
#: Folders and files that runs of Python and pytest write, and no test reads.
_WRITTEN = ("__pycache__", ".pytest_cache", ".hypothesis", ".git", ".mypy_cache", ".ruff_cache")


class ProjectState(NamedTuple):
    """The state of the files of a project: a commit, and the files that differed from it.

    - root: the top of the working tree
    - commit: the full name of the commit; empty if the state is not known
    - differing: the hash of each differing file by its path from *root*, None for a removed file or a folder
    - texts: the texts of the differing sources
    - problem: why the state is not known
    """

    root: str
    commit: str
    differing: dict[str, str | None]
    texts: dict[str, bytes]
    problem: str = ""


class RecordedRun(NamedTuple):
    """A test run.

    - rootdir: the folder that the names of tests start from
    - python: the version of Python
    - state: the files of the project when the run began
    - distributions: the folders with metadata of installed distributions, which have names and versions
    - options: the options of pytest that may change results, by name
    - outcomes: the outcome of each test by its node id; PASSED, or another word
    - orders: the tests of each process in the order in which they ran
    - ended: when the run ended, in seconds since 1970
    """

    rootdir: str
    python: str
    state: ProjectState
    distributions: list[str]
    options: dict[str, str]
    outcomes: dict[str, str]
    orders: list[list[str]]
    ended: float


def version_of_python() -> str:
    """Return the version of this Python, as records have it."""
    return f"{sys.implementation.name} {sys.version.partition(' ')[0]}"


def distributions() -> list[str]:
    """Return the names of the metadata folders of the distributions that this Python finds, sorted."""
    found: set[str] = set()
    for folder in sys.path:
        if os.path.basename(folder) in INSTALLED:
            try:
                found.update(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
            except OSError:
                continue
    return sorted(found)


def hash_of(path: str) -> str | None:
    """Return the hash of the file at *path* with its right to be executed; None if there is no file.

    A link has the hash of the target's name.
    """
    try:
        if os.path.islink(path):
            return sha256(b"link " + os.fsencode(os.readlink(path))).hexdigest()
        with open(path, "rb") as file:
            hashing = sha256(b"executable " if os.fstat(file.fileno()).st_mode & stat.S_IXUSR else b"")
            while chunk := file.read(1 << 20):
                hashing.update(chunk)
            return hashing.hexdigest()
    except OSError:
        return None


def is_written_by_runs(path: str) -> bool:
    """Return whether Python or pytest itself writes the file *path*, from the top of the project."""
    return path.endswith((".pyc", ".pyo")) or any(part in _WRITTEN for part in path.split("/"))


def state_of(repository: Repository, data_folder: str) -> ProjectState:
    """Return the state of the files of *repository* now, without data in *data_folder*. Raise DataError."""
    commit = repository.commit("HEAD")
    untracked = repository.untracked()
    differing: dict[str, str | None] = {}
    texts: dict[str, bytes] = {}
    for path in sorted(repository.changed_since(commit)):
        full_path = os.path.join(repository.root, path)
        if is_written_by_runs(path) or (path in untracked and is_within(full_path, data_folder)):
            continue
        differing[path] = hash_of(full_path)
        if path.endswith(".py"):
            try:
                texts[path] = read_regular(full_path, _LARGEST_TEXT)
            except (OSError, ValueError):
                continue
    return ProjectState(repository.root, commit, differing, texts)


def is_within(path: str, folder: str) -> bool:
    """Return whether *path* is in *folder*, links resolved."""
    folder = os.path.realpath(folder)
    return os.path.realpath(path).startswith(os.path.join(folder, ""))


def write(recorded: RecordedRun, folder: str, name: str) -> None:
    """Write *recorded* to the file *name*, without its suffix, in the data folder *folder*; raise OSError."""
    texts = {path: b64encode(zlib.compress(text)).decode() for path, text in recorded.state.texts.items()}
    values = {**recorded._asdict(), "state": {**recorded.state._asdict(), "texts": texts}, "format": FORMAT}
    data = json.dumps(values).encode("utf-8", "surrogatepass")
    replace_file(os.path.join(folder, name + SUFFIX_OF_RECORDS), lambda descriptor, _path: write_all(descriptor, data))


def read_all(paths: Iterable[str]) -> list[RecordedRun]:
    """Return the records in the folders *paths*, and in the folders of files among *paths*, from the earliest on.

    Raise DataError.
    """
    folders = dict.fromkeys(path if os.path.isdir(path) else os.path.dirname(path) or os.curdir for path in paths)
    records = [_read(os.path.join(folder, name)) for folder in folders for name in sorted(records_in(folder))]
    return sorted(records, key=lambda record: record.ended)


def _read(path: str) -> RecordedRun:
    try:
        values = json.loads(read_regular(path, _LARGEST))
        if values.pop("format") != FORMAT:
            raise DataError(f"{path!r} is of another version of instrument; run the tests once more")
        state = values.pop("state")
        texts = {each: zlib.decompress(b64decode(text)) for each, text in state.pop("texts").items()}
        recorded = RecordedRun(state=ProjectState(**state, texts=texts), **values)
        _check(recorded)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise DataError(f"{path!r} is damaged: {type(error).__name__}: {error}") from error
    return recorded


def _check(recorded: RecordedRun) -> None:
    """Raise TypeError if a value of *recorded* has a type that no writer gives it."""
    state = recorded.state
    texts: list[Any] = [recorded.rootdir, recorded.python, state.root, state.commit, state.problem]
    texts += [*recorded.distributions, *recorded.options.values(), *recorded.outcomes.values()]
    texts += [test for order in recorded.orders for test in order]
    texts += [each for each in state.differing.values() if each is not None]
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
    if not isinstance(recorded.ended, (int, float)):
        raise TypeError(f"{recorded.ended!r} is no time")
