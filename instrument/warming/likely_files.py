"""Finds the files that a program is likely to import.

Files or the text of a program come in, and the scope. Out go the files in the scope that their import statements lead
to, in the order in which they would be complete. Nothing is executed or compiled.

Problem: a scope may have a thousand files, of which a program imports ten. And each run asks anew.
Solution: a regular expression finds the import statements outside of functions, and importlib's finder finds their
files. That takes some 0.3 ms a file. It is recorded, so only new and changed files are searched: the others take some
10 µs. Imports that are missed are no harm: the program's process rewrites
their code.
Alternatives: all files of the scope; the scope may be a large library. Or the imports of the last run: there is none
before the first run.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from itertools import accumulate

from instrument.guest.trusted_files import read_regular
from instrument.link.source_versions import LARGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from instrument.warming.prepared_files import Imports, PreparedFiles

    #: The dotted name of a module, the path of its source file, and the folders of its submodules.
    Module = tuple[str, str, list[str]]

_IMPORT = re.compile(
    r"^([ \t]*)(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]*)|import[ \t]+([^\n#;(]+))", re.MULTILINE
)
_COMMENT = re.compile(r"#[^\n]*")
#: The beginning of a line below which imports do not run when the module is imported.
_HEADER_OF_LATER_CODE = re.compile(r"[ \t]*(?:(?:async[ \t]+)?def\b|if[ \t]+(?:\w+\.)?TYPE_CHECKING\b)")


class LikelyFiles:
    """The files that are likely to be imported from the folders *search_path*.

    *selects* returns whether the module with a name and a file is in the scope. *record* says which files need no
    preparation. If *follows_all*, modules outside of the scope are searched for imports, too, but not the standard
    library.
    """

    def __init__(
        self, search_path: list[str], selects: Callable[[str, str], bool], record: PreparedFiles, follows_all: bool
    ) -> None:
        self._search_path = search_path
        self._selects = selects
        self._record = record
        self._follows_all = follows_all
        #: By dotted name; None if the module is not found.
        self._modules: dict[str, Module | None] = {}
        #: The paths of files that were visited.
        self._visited: set[str] = set()

    def imported_by(self, text: str, package: str = "") -> Iterator[str]:
        """Yield the files that *text*, the source of a module in *package*, leads to, and that are not ready.

        A file comes behind the files of its imports, unless they form a circle, and only once in all calls.
        """
        return self._followed(self._imports_in(text, package))

    def imported_by_file(self, path: str, package: str) -> Iterator[str]:
        """Yield the same for the module in the file at *path*, which is not prepared itself."""
        name, _ = os.path.splitext(os.path.basename(path))
        return self._followed(self._imports_of(f"{package}.{name}" if package else name, path))

    def _followed(self, imports: Imports) -> Iterator[str]:
        """Yield the files that *imports* lead to, and that are not ready, as `imported_by` does."""
        stack = [("", iter(imports))]
        while stack:
            file, modules = stack[-1]
            module = next(modules, None)
            if module is None:
                stack.pop()
                if file:
                    yield file
                continue
            name, path = module
            if path in self._visited:
                continue
            self._visited.add(path)
            is_selected = self._selects(name, path)
            if is_selected or (self._follows_all and name.partition(".")[0] not in sys.stdlib_module_names):
                is_to_prepare = is_selected and not self._record.is_ready(path)
                stack.append((path if is_to_prepare else "", iter(self._imports_of(name, path))))

    def _imports_of(self, name: str, path: str) -> Imports:
        """Return the modules that the module *name* in the file at *path* imports outside of functions."""
        imports = self._record.imports_of(path)
        if imports is None:
            is_package = os.path.basename(path) == "__init__.py"
            imports = self._imports_in(text_of(path), name if is_package else name.rpartition(".")[0])
            self._record.note_imports(path, imports)
        return imports

    def _imports_in(self, text: str, package: str) -> Imports:
        """Return the modules that *text*, the source of a module in *package*, imports outside of functions."""
        imports: dict[tuple[str, str], None] = {}  # ordered, without duplicates
        for name in imported_names(text, package):
            for outer in accumulate(name.split("."), "{}.{}".format):
                module = self._find(outer)
                if module is None:
                    break
                if module[1]:
                    imports[module[:2]] = None
        return list(imports)

    def _find(self, name: str) -> Module | None:
        """Return the module *name*. None if it is not found; it has an empty path if it has no source file."""
        if name not in self._modules:
            self._modules[name] = self._found(name)
        return self._modules[name]

    def _found(self, name: str) -> Module | None:
        parent = name.rpartition(".")[0]
        folders = self._search_path
        if parent:
            package = self._find(parent)
            if package is None or not package[2]:
                return None
            folders = package[2]
        try:
            spec = PathFinder.find_spec(name, folders)
        except Exception:  # a file that is no archive, or a hook of another package
            return None
        if spec is None:
            return None
        origin = spec.origin if isinstance(spec.loader, SourceFileLoader) else None
        return name, origin or "", list(spec.submodule_search_locations or ())


def imported_names(text: str, package: str) -> Iterator[str]:
    """Yield the dotted names that *text*, the source of a module in *package*, imports outside of functions.

    A name that is imported from a package is yielded like a module of it.
    """
    for match in _IMPORT.finditer(text):
        indentation, base, names, modules = match.groups()
        if indentation and _runs_later(text, match.start(), len(indentation)):
            continue
        if modules is not None:
            yield from _words(modules)
            continue
        n_dots = len(base) - len(base.lstrip("."))
        if n_dots:
            parents = package.split(".")
            if n_dots > len(parents) or not package:
                continue
            base = ".".join(filter(None, [*parents[: len(parents) - n_dots + 1], base[n_dots:]]))
        yield base
        yield from (f"{base}.{word}" for word in _words(_COMMENT.sub("", names).strip("()")))


def _words(names: str) -> Iterable[str]:
    """Return the first word of each part of *names* that is a dotted name."""
    words = [part.split(maxsplit=1)[0] for part in names.split(",") if part.strip()]
    return [word for word in words if word.replace(".", "_").isidentifier()]


def _runs_later(text: str, place: int, indentation: int) -> bool:
    """Return whether the line of *text* at *place*, with this *indentation*, is in a function or only for checkers."""
    while indentation and place:
        start = text.rfind("\n", 0, place - 1) + 1
        line, place = text[start:place], start
        width = len(line) - len(line.lstrip(" \t"))
        if width < indentation and line.strip() and line[width] != "#":
            if _HEADER_OF_LATER_CODE.match(line):
                return True
            indentation = width
    return False


def text_of(path: str) -> str:
    """Return the text of the file at *path*, as far as it can be decoded; empty if the file cannot be read."""
    try:
        return read_regular(path, LARGEST).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def package_of(path: str) -> tuple[str, str]:
    """Return the dotted name of the package that the file at *path* is in, empty if in none, and the folder above."""
    folder, names = os.path.dirname(os.path.abspath(path)), list[str]()
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    return ".".join(names), folder
