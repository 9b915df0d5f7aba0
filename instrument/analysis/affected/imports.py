"""ImportGraph: which source files of a project an import of a file may run, by the names in the sources.

The sources of a project come in, by path. The files that a file imports, directly or indirectly, go out.

A name stands for each file of the project that it may mean: `import shop.db` for every `shop/db.py`, wherever that is.
So the graph does not depend on `sys.path`. It has all imports, and perhaps more. Names are in import statements
anywhere in the source, and in texts with dots ("shop.db:connect"). In calls that import, any text is a name. An
import of a module runs the packages around it. A file that imports by a computed name may import every file.
"""

from __future__ import annotations

import ast
import os
import re
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_INIT = "__init__"
#: Functions that import the module, or run the file, that their first argument names.
_IMPORTERS = frozenset(
    (
        *("import_module", "__import__", "importorskip", "run_module", "run_path", "load_module", "find_spec"),
        *("spec_from_file_location", "exec_module", "walk_packages", "iter_modules", "find_loader", "import_string"),
        *("entry_points", "iter_entry_points", "load_entry_point"),
    )
)
_LONGEST_NAME = 200
_NAMES = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?")


class ImportGraph:
    """The imports of the *files* of a project. *texts* returns all known versions of a file."""

    def __init__(self, files: Iterable[str], texts: Callable[[str], Iterable[bytes]]) -> None:
        self.files = frozenset(files)
        self._texts = texts
        self._by_ending: dict[str, set[str]] = {}
        for file in self.files:
            parts = _module_parts(file)
            for n in range(1, len(parts) + 1):
                self._by_ending.setdefault(".".join(parts[-n:]), set()).add(file)
        self._imported: dict[str, frozenset[str]] = {}
        self._reached: dict[str, frozenset[str]] = {}

    def reached(self, file: str) -> frozenset[str]:
        """Return the files that an import of *file* may run, *file* included."""
        if file not in self._reached:
            found, pending = {file}, [file]
            while pending:
                new = self.imported(pending.pop()) - found
                found |= new
                pending += new
            self._reached[file] = frozenset(found)
        return self._reached[file]

    def imported(self, file: str) -> frozenset[str]:
        """Return the files that *file* itself may import, and the packages around them."""
        if file not in self._imported:
            found = set(self._packages_around(file))
            for text in self._texts(file):
                found |= self._imported_by(file, text)
            self._imported[file] = frozenset(found)
        return self._imported[file]

    def _imported_by(self, file: str, text: bytes) -> set[str]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return set(self.files)
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name_of(node.func) in _IMPORTERS:
                named = node.args[0] if node.args else None
                if not isinstance(named, ast.Constant) or not isinstance(named.value, str):
                    return set(self.files)
                if named.value.startswith("."):
                    found |= self._below(os.path.dirname(file), named.value)
                found |= self._named(named.value)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    found |= self._named(alias.name)
            elif isinstance(node, ast.ImportFrom):
                found |= self._imported_from(file, node)
            elif isinstance(node, ast.Constant) and _is_dotted_name(node.value):
                found |= self._named(node.value.replace(":", "."))  # type: ignore[union-attr,arg-type]
        return {package for each in found for package in (each, *self._packages_around(each))}

    def _imported_from(self, file: str, node: ast.ImportFrom) -> set[str]:
        names = [alias.name for alias in node.names if alias.name != "*"]
        module = node.module or ""
        if not node.level:
            found = self._named(module)
            for name in names:
                found |= self._by_ending.get(f"{module}.{name}", set())
            return found
        folder = os.path.dirname(file)
        for _ in range(node.level - 1):
            folder = os.path.dirname(folder)
        base = os.path.join(folder, *module.split(".")) if module else folder
        candidates = [base, *(os.path.join(base, name) for name in names)]
        parts = module.split(".") if module else []
        candidates += [os.path.join(folder, *parts[:n]) for n in range(1, len(parts))]
        return {path for each in candidates for path in _files_of(each) if path in self.files}

    def _below(self, folder: str, name: str) -> set[str]:
        """Return the files that the relative *name*, which begins with dots, may mean from a file in *folder*."""
        rest = name.lstrip(".")
        for _ in range(len(name) - len(rest) - 1):
            folder = os.path.dirname(folder)
        return {path for path in _files_of(os.path.join(folder, *rest.split("."))) if path in self.files}

    def _named(self, name: str) -> set[str]:
        """Return the files that the dotted *name*, or a beginning of it, may mean."""
        parts = name.split(".")
        return {file for n in range(1, len(parts) + 1) for file in self._by_ending.get(".".join(parts[:n]), ())}

    def _packages_around(self, file: str) -> Iterator[str]:
        """Yield the files of the packages that *file* is in."""
        folder = os.path.dirname(file)
        while (package := os.path.join(folder, f"{_INIT}.py")) in self.files:
            yield package
            folder = os.path.dirname(folder)


def _is_dotted_name(value: object) -> bool:
    return isinstance(value, str) and "." in value and len(value) < _LONGEST_NAME and bool(_NAMES.fullmatch(value))


def _module_parts(file: str) -> list[str]:
    parts = os.path.splitext(file)[0].split(os.sep)
    parts = [part for part in parts if part]
    return parts[:-1] if parts[-1:] == [_INIT] else parts


def _files_of(module: str) -> tuple[str, str]:
    return f"{module}.py", os.path.join(module, f"{_INIT}.py")


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
