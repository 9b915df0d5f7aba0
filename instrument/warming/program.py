"""Prepares a program before it runs: the files in the scope that it is likely to import.

The words that name a program for the interpreter come in, and the settings. `warming.ahead` says the rest.
"""

from __future__ import annotations

import os
import sys

from instrument.config.values import OWN
from instrument.link.cache import open_cache
from instrument.scope.project import INSTALLED, Scope
from instrument.warming.likely_files import LikelyFiles, package_of, text_of
from instrument.warming.prepared_files import PreparedFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.config import Settings

#: Programs that load tests, which no file imports. Only the imports of tests are prepared: pytest changes their code.
_TEST_RUNNERS = ("pytest", "py.test", "unittest")
_NAMES_OF_TESTS = ("test", "conftest.py")
_NAMES_OF_OTHERS = ("__pycache__", "node_modules", "build", "dist", *INSTALLED)
#: No more folders are searched for tests.
_MOST_FOLDERS = 1_000


def prepare_program(words: list[str], settings: Settings, search_path: Iterable[str] | None = None) -> None:
    """Prepare the program that the interpreter runs with the arguments *words*.

    Its modules are searched in the folders *search_path*; None stands for those of a process that is not the program. A
    failure is no error: the program's process rewrites the rest. Raise KeyboardInterrupt if the user
    interrupts it.
    """
    cache = open_cache(settings.placement)
    if cache.trouble or sys.flags.verbose:  # with -v, processes that prepare files would print much
        return
    record = PreparedFiles(cache)
    text, folder, name, arguments = _parts(words)
    tests = {path: package_of(path) for path in _test_files(arguments)} if name in _TEST_RUNNERS else {}
    folders = [folder] if folder else []
    folders += [above for _, above in tests.values()]
    folders += [os.getcwd(), os.path.abspath("src")] if tests else []  # usual settings of test runners
    if search_path is None:
        search_path = sys.path[0 if sys.flags.safe_path else 1 :]
    search_path = list(dict.fromkeys([*folders, *search_path]))
    follows_all = any(item != OWN for item in settings.scope)
    likely = LikelyFiles(search_path, Scope(settings.scope).selects, record, follows_all)
    files = [*likely.imported_by(text)]
    for path, (package, _) in tests.items():
        files += likely.imported_by_file(path, package)
    if files:
        from instrument.warming.ahead import prepare_ahead

        prepare_ahead(files, settings.placement, settings.quiet, record)
    record.save()


def _parts(words: list[str]) -> tuple[str, str, str, list[str]]:
    """Return four facts about the program that *words* name, the arguments of the interpreter.

    - Its text, or a text with the same imports.
    - The folder at the beginning of `sys.path`, empty if there is none.
    - Its name, and its arguments.
    """
    first, *arguments = words
    folder = "" if sys.flags.safe_path else os.getcwd()
    if first[:2] in ("-m", "-c"):
        if first[2:]:
            value = first[2:]
        else:
            value, *arguments = arguments
        text = value if first[:2] == "-c" else f"import {value}\nimport {value}.__main__\n"
        return text, folder, value, arguments
    if first == "-":
        return "", folder, "", arguments
    if os.path.isdir(first):
        return text_of(os.path.join(first, "__main__.py")), os.path.abspath(first), "", arguments
    if not sys.flags.safe_path:
        folder = os.path.dirname(os.path.realpath(first))
    return text_of(first), folder, os.path.basename(first), arguments


def _test_files(arguments: list[str]) -> Iterator[str]:
    """Yield the paths of tests that *arguments* of a test runner name, by default of all below the working folder."""
    names = [argument.partition("::")[0] for argument in arguments if argument[:1] != "-"]
    n_folders = 0
    for name in [name for name in names if os.path.exists(name)] or [os.curdir]:
        if not os.path.isdir(name):
            yield os.path.abspath(name)
        for parent, folders, files in os.walk(os.path.abspath(name)):
            n_folders += 1
            if n_folders > _MOST_FOLDERS or "pyvenv.cfg" in files:
                folders.clear()
                continue
            folders[:] = sorted(each for each in folders if each[0] != "." and each not in _NAMES_OF_OTHERS)
            for file in sorted(files):
                if file.endswith(".py") and (file.startswith(_NAMES_OF_TESTS) or file.endswith("_test.py")):
                    yield os.path.join(parent, file)
