"""ImportGraph: which source files of a project an import of a file may run, by the names in the sources.

The sources of a project come in, by path. The files that a file imports, directly or indirectly, go out.

A name stands for each file of the project that it may mean: `import shop.db` for every `shop/db.py`, wherever that is.
So the graph does not depend on `sys.path`. It has all imports, and perhaps more. An import of a module runs the
packages around it. Names are:

- those in import statements, anywhere in the source, and in texts with code: doctests, programs of `python -c`
- a text that as a whole is a name with dots, or the path of a source: "shop.db:connect", ".sub", "tools/shop.py"
- "shop." for all modules of `shop`, as in `import_module(f"shop.{name}")`
- a word without dots in a call that may import, as of `import_module`, or one with `__name__` as an argument

A file that imports by a computed name, or executes texts that it reads, may import every file.
"""

from __future__ import annotations

import ast
import itertools
import os
import re
import warnings

from instrument.analysis.affected.nodes import beginning_of, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

_INIT = "__init__"
_SOURCE = ".py"
#: Functions that import the module, or run the file, that an argument names.
_IMPORTERS = frozenset(
    (
        *("import_module", "__import__", "importorskip", "run_module", "run_path", "load_module", "find_spec"),
        *("spec_from_file_location", "exec_module", "walk_packages", "iter_modules", "find_loader", "import_string"),
        *("entry_points", "iter_entry_points", "load_entry_point", "resolve_name"),
    )
)
#: Functions whose argument is a module, or its name.
_TAKING_MODULES = frozenset(("multiple",))
#: Of the importers, functions whose argument of this number has the name; it is the first one otherwise.
_POSITIONS = {"spec_from_file_location": 1}
#: Variables that name the module itself, or its package.
_OF_MODULE = frozenset(("__name__", "__package__", "__path__", "__spec__"))
_READERS = frozenset(("open", "read", "read_text", "read_bytes", "get_data", "get_source", "getsource"))
#: Modules whose function `load` imports the modules that a file names.
_PICKLES = frozenset(("pickle", "dill", "cloudpickle", "joblib"))
_LONGEST_NAME = 200
_NAMES = re.compile(r"\.*[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*|\.)?")
_PATHS = re.compile(r"[\w./\\-]+\.py")
_STATEMENTS = re.compile(
    r"(?:^|[\n;])[ \t]*(?:>>> |\.\.\. )?(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+([\w, \t*]+)|import[ \t]+([\w., \t]+))"
)


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
        if not file.endswith(_SOURCE):  # a text with doctests
            return self._with_packages(self._imported_by_code(file, text.decode("utf-8", "replace")))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return set(self.files)
        nodes = list(ast.walk(tree))
        importers = _IMPORTERS | set(_aliases_of_importers(nodes))
        called = {name_of(node.func) for node in nodes if isinstance(node, ast.Call)}
        executes = any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "exec" for node in nodes)
        if executes and called & _READERS:
            return set(self.files)
        found: set[str] = set()
        for node in nodes:
            by_node = self._imported_by_node(file, node, importers)
            if by_node is None:
                return set(self.files)
            found |= by_node
        return self._with_packages(found)

    def _imported_by_node(self, file: str, node: ast.AST, importers: Container[str]) -> set[str] | None:
        """Return the files that *node* in *file* itself may import; None for all files."""
        match node:
            case ast.Call():
                return self._imported_by_call(node, importers)
            case ast.Import():
                return {file for alias in node.names for file in self._named(alias.name)}
            case ast.ImportFrom():
                return self._imported_from(file, node.module or "", node.level, [each.name for each in node.names])
            case ast.Subscript() if name_of(node.value) == "modules":
                return self._named_by_words(node)
            case ast.List() | ast.Tuple():
                return self._named_after_option(node.elts)
            case ast.Constant(value=str(text)):
                return self._named_by_text(file, text)
            case _:
                return set()

    def _with_packages(self, files: Iterable[str]) -> set[str]:
        return {package for each in files for package in (each, *self._packages_around(each))}

    def _imported_by_call(self, call: ast.Call, importers: Container[str]) -> set[str] | None:
        """Return the files that *call* may import except for files that its texts name; None for all files."""
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        found = self._named_after_option(call.args)
        name = name_of(call.func)
        if name == "load" and name_of(getattr(call.func, "value", call)) in _PICKLES:
            return None
        if name not in importers:
            is_of_module = name in _TAKING_MODULES or any(name_of(each) in _OF_MODULE for each in arguments)
            return found | (self._named_by_words(call) if is_of_module else set())
        position = _POSITIONS.get(name, 0)
        named = arguments[position] if len(arguments) > position else None
        if not isinstance(named, ast.Constant):
            texts = [each.value for each in ast.walk(named) if isinstance(each, ast.Constant)] if named else []
            is_known = any(_is_path(each) for each in texts) or beginning_of(named).endswith(".")
            if not is_known or beginning_of(named).startswith("."):
                return None
        return found | self._named_by_words(call)

    def _named_by_words(self, node: ast.AST) -> set[str]:
        """Return the files that words without dots in *node* may mean."""
        words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
        return {file for each in words if isinstance(each, str) for file in self._by_ending.get(each, ())}

    def _named_after_option(self, nodes: Sequence[ast.AST]) -> set[str]:
        """Return the files that the words after an option `-m` in *nodes* may mean."""
        texts = [getattr(node, "value", None) for node in nodes]
        names = [after for option, after in itertools.pairwise(texts) if option in ("-m", "-p")]
        return {file for name in names if isinstance(name, str) for file in self._named(name)}

    def _named_by_text(self, file: str, text: str) -> set[str]:
        """Return the files that *text*, a constant in the source of *file*, may mean."""
        if len(text) < _LONGEST_NAME:
            if _is_path(text):
                parts = [part for part in re.split(r"[/\\]", text.removesuffix(_SOURCE)) if part not in ("", ".", "..")]
                return set(self._by_ending.get(".".join(parts), ()))
            if "." in text.rstrip(":") or ":" in text:
                if not _NAMES.fullmatch(text):
                    return self._imported_by_code(file, text)
                if text.startswith("."):
                    name = text.lstrip(".").replace(":", ".")
                    return self._below(os.path.dirname(file), text) | set(self._by_ending.get(name, ()))
                if text.endswith("."):
                    return self._named(text[:-1]) | self._modules_of(text[:-1])
                return self._named(text.replace(":", "."))
        return self._imported_by_code(file, text)

    def _imported_by_code(self, file: str, text: str) -> set[str]:
        """Return the files that import statements in *text* name."""
        found: set[str] = set()
        if "import" in text:
            for package, names, modules in _STATEMENTS.findall(text):
                if package:
                    level = len(package) - len(package.lstrip("."))
                    found |= self._imported_from(file, package[level:], level, re.findall(r"[\w*]+", names))
                for name in re.findall(r"[\w.]+", modules):
                    found |= self._named(name)
        return found

    def _modules_of(self, package: str) -> set[str]:
        """Return the files of all modules below the dotted name *package*."""
        beginning = f"{package}."
        return {file for name, files in self._by_ending.items() if name.startswith(beginning) for file in files}

    def _imported_from(self, file: str, module: str, level: int, imported: list[str]) -> set[str]:
        """Return the files that `from module import imported` with *level* dots in *file* may run."""
        names = [name for name in imported if name != "*"]
        if not level:
            found = self._named(module)
            for name in names:
                found |= self._by_ending.get(f"{module}.{name}", set())
            packages = self._by_ending.get(module, set())
        else:
            folder = os.path.dirname(file)
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            base = os.path.join(folder, *module.split(".")) if module else folder
            candidates = [base, *(os.path.join(base, name) for name in names)]
            parts = module.split(".") if module else []
            candidates += [os.path.join(folder, *parts[:n]) for n in range(1, len(parts))]
            found = {path for each in candidates for path in _files_of(each) if path in self.files}
            packages = {os.path.join(base, f"{_INIT}.py")} & self.files
        if "*" in imported:
            found |= {file for package in packages for file in self._imported_by_star(package)}
        return found

    def _imported_by_star(self, package: str) -> set[str]:
        """Return the modules directly in *package*, the file of a package, that its `__all__` may name."""
        folder = os.path.dirname(package)
        if os.path.basename(package) != f"{_INIT}.py" or not any(b"__all__" in text for text in self._texts(package)):
            return set()
        return {
            file
            for file in self.files
            if os.path.dirname(file) == folder
            or (os.path.basename(file) == f"{_INIT}.py" and os.path.dirname(os.path.dirname(file)) == folder)
        }

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


def _is_path(text: object) -> bool:
    """Return whether *text* is the path of a source."""
    return isinstance(text, str) and bool(_PATHS.fullmatch(text))


def _aliases_of_importers(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield other names that *nodes* give to functions that import."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield from (each.asname for each in node.names if each.asname and each.name in _IMPORTERS)
        elif isinstance(node, ast.Assign) and name_of(node.value) in _IMPORTERS:
            yield from filter(None, map(name_of, node.targets))


def _module_parts(file: str) -> list[str]:
    parts = os.path.splitext(file)[0].split(os.sep)
    parts = [part for part in parts if part]
    return parts[:-1] if parts[-1:] == [_INIT] else parts


def _files_of(module: str) -> tuple[str, str]:
    return f"{module}.py", os.path.join(module, f"{_INIT}.py")
