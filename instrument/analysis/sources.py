"""What the commands say of source files: is this still what was measured, and what could have run in it?

The path of a source and the version that was measured come in; what is known of the file as it is now goes out. A file
that was named by a data file from anywhere is only ever read.
"""

from __future__ import annotations

import ast
import io
import os
import re
import stat
import tokenize
import types
import warnings

from instrument.analysis.code_lines import code_lines, docstring_lines, statement_lines
from instrument.data.store import version_of
from instrument.guest.trusted_files import read_regular
from instrument.report import cover_listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

# Sources are smaller; this keeps what pretends to be one out of memory.
LARGEST = 1 << 26

CURRENT, STALE, MISSING, UNKNOWN = "current", "stale", "missing", "unknown"

# What a code object of a source is. Annotations are code that Python runs only when somebody asks for them: also the
# values of type aliases, and the bounds and defaults of type parameters.
FUNCTION, CLASS, MODULE, ANNOTATIONS = "function", "class", "module", "annotations"
# The scope of type parameters: it runs each time its `def`, `class` or `type` does.
TYPE_PARAMETERS = "type parameters"
_TYPE_PARAMETERS = "<generic parameters of "

# What coverage.py excludes unless it is configured otherwise: also a body of `...`, and code for type checkers alone.
_PRAGMA = re.compile(r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)")
_FOR_TYPE_CHECKERS = ("if", "TYPE_CHECKING", ":"), ("if", "typing", ".", "TYPE_CHECKING", ":")
_FUNCTIONS = ("def",), ("async", "def")

_NO_CODE = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
_NOT_COMPILED = (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError)


def archive_of(path: str) -> str:
    """Return the archive that the file *path* is in, such as `app.pyz/main.py`; an empty text if it is in none."""
    while (folder := os.path.dirname(path)) != path:
        path = folder
        try:
            if stat.S_ISREG(os.stat(path).st_mode):
                return path
        except NotADirectoryError:  # the archive is further up
            continue
        except (OSError, ValueError):
            return ""
    return ""


class Source:
    """The source file at `path`: whether it is the version that was measured, and if so, what could have run in it.

    `state` is one of the four words above; `reason` is empty only if the file is current and could be compiled. Then
    `executable` are its executable lines, without docstrings. Those in `annotations` are only in annotations, or only
    in what a failing `assert` runs. Those in `excluded` are excluded as by coverage.py (`excluded_lines`).
    `never_missing` are both, and the docstrings. `kinds` has the kind of each named piece of code, by qualified name
    and first line; `has_code` is False for a file of docstrings at most.
    """

    def __init__(self, path: str, version: str | None, *, is_optimized: bool = False) -> None:
        """Read the file at *path*, and compare it with *version*; if that is None, whatever it holds is current.

        If *is_optimized*, it was compiled with -O: assert statements and `if __debug__:` are no code of it.
        """
        self.path = path
        self.data = b""
        self.executable = self.annotations = self.excluded = self.never_missing = frozenset[int]()
        self.kinds: dict[tuple[str, int], str] = {}
        self.has_code = False
        self._inside: dict[tuple[str, int], set[int]] = {}
        self.state, self.reason = self._compare(version)
        if self.state == CURRENT:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._analyse(is_optimized)
            except _NOT_COMPILED as error:
                self.reason = f"it cannot be compiled by this Python: {error}"

    def _compare(self, version: str | None) -> tuple[str, str]:
        """Return the state of the file, and the reason for it in words."""
        if version is not None and not version.startswith("sha256:"):
            if archive := archive_of(self.path):
                return UNKNOWN, (
                    f"it is in the archive {archive!r}, and sources in archives are not read: run the unpacked folder "
                    "to see which lines are missing"
                )
            return UNKNOWN, f"it is not known which version was measured ({version})"
        try:
            self.data = read_source(self.path)
        except (OSError, ValueError) as error:
            return MISSING, f"it cannot be read: {getattr(error, 'strerror', None) or error}"
        now = version_of(self.data)
        if version is not None and now != version:
            return STALE, f"it has changed since it was measured (then {version[:19]}…, now {now[:19]}…)"
        return CURRENT, ""

    def _analyse(self, is_optimized: bool) -> None:
        """Find out what could run in the file; raise one of `_NOT_COMPILED` if it cannot be compiled."""
        # Whether this process runs with -O does not matter. (-OO leaves out docstrings, which are no lines here.)
        code = compile(self.data, self.path, "exec", dont_inherit=True, optimize=int(is_optimized))
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(self.data).readline)
        with io.TextIOWrapper(io.BytesIO(self.data), encoding) as file:
            tokens = list(tokenize.generate_tokens(file.readline))
        excluded = excluded_lines(tokens)
        tree: ast.AST = compile(self.data, self.path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        lines_of_code, lines_of_annotations = self._walk(code, _defined(tree), excluded)
        statements = statement_lines(tree)
        docstrings = docstring_lines(tree) - statements  # `class C: "docstring"` is a statement, too
        self.executable = frozenset((lines_of_code | lines_of_annotations) - docstrings)
        # From 3.14 on the line of a parameter with a default may be only in the code of annotations.
        self.annotations = self.executable - (statements & lines_of_code)
        self.excluded = frozenset(excluded)
        self.never_missing = self.annotations | self.excluded | docstrings
        words = [each for each in tokens if each.type not in _NO_CODE]
        self.has_code = any(each.start[0] not in docstrings for each in words)

    def _walk(
        self, module: types.CodeType, defined: dict[tuple[str, int], tuple[str, int]], excluded: set[int]
    ) -> tuple[set[int], set[int]]:
        """Note each piece of code in *module*; return the lines of all but annotations, and those of annotations."""
        lines, annotated = set[int](), set[int]()
        waiting = [(module, MODULE)]
        while waiting:
            code, kind = waiting.pop()
            inside = code_lines(code)
            (annotated if kind == ANNOTATIONS else lines).update(inside)
            key = code.co_qualname, code.co_firstlineno
            self.kinds.setdefault(key, kind)
            known = defined.get((code.co_name, code.co_firstlineno))
            if kind == FUNCTION and known and known[1] not in excluded:
                self._inside[key] = inside - {code.co_firstlineno}
            nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
            waiting.extend((each, kind if kind == ANNOTATIONS else _kind(each, defined)) for each in nested)
        return lines, annotated

    def lines_within(self, functions: Collection[tuple[str, int]]) -> tuple[set[int], set[tuple[str, int]]]:
        """Return the lines of *functions*, and qualified name and first line of each of them that is in the file.

        Functions are named likewise. Code that is nested in one of them is included. The file must have been compiled.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            waiting = [(compile(self.data, self.path, "exec", dont_inherit=True, optimize=0), False)]
        lines: set[int] = set()
        names: set[tuple[str, int]] = set()
        while waiting:
            code, is_within = waiting.pop()
            key = code.co_qualname, code.co_firstlineno
            is_within = is_within or key in functions
            if is_within:
                names.add(key)
                lines.update(code_lines(code))
            nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
            waiting.extend((each, is_within) for each in nested)
        return lines, names

    def functions(self) -> dict[tuple[str, int], set[int]]:
        """Return qualified name and first line of each function in the file, with the lines inside of it.

        Functions without a name, and those that are excluded, are left out.
        """
        return self._inside


def _defined(tree: ast.AST) -> dict[tuple[str, int], tuple[str, int]]:
    """Return the kind and the line of each `def` and `class` in *tree*, by its name and its first line.

    The first line is that of the first decorator, if there are any.
    """
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name, first] = CLASS if isinstance(node, ast.ClassDef) else FUNCTION, node.lineno
    return found


def _kind(code: types.CodeType, defined: dict[tuple[str, int], tuple[str, int]]) -> str:
    """Return the kind of *code*, which is not that of a module, in a source that has *defined* these names."""
    if code.co_name.startswith(_TYPE_PARAMETERS):
        return TYPE_PARAMETERS
    if code.co_name.startswith("<"):
        return FUNCTION  # a lambda or a comprehension
    # What has the name of nothing that is defined on this line was made of an annotation, or of the like.
    return defined.get((code.co_name, code.co_firstlineno), (ANNOTATIONS, 0))[0]


def kind_by_name(name: str) -> str:
    """Return the kind of a piece of code of this qualified *name* of which the source does not say more."""
    last = name.rpartition(".")[2]
    if last.startswith(_TYPE_PARAMETERS):
        return TYPE_PARAMETERS
    return {"<module>": MODULE, "__annotate__": ANNOTATIONS}.get(last, FUNCTION)


def excluded_lines(tokens: list[tokenize.TokenInfo]) -> set[int]:
    """Return the lines of a source that are excluded, of which *tokens* are all tokens.

    `# pragma: no cover` excludes what coverage.py excludes for it: the statement; with a header its suite, too; and
    with a decorator, or a decorated header, all that is decorated. The form of `trace` excludes its line alone. As by
    coverage.py, `if TYPE_CHECKING:` is excluded with its suite, and so are the statement `...` and functions that begin
    with it.
    """
    found: set[int] = set()
    first = depth = excluding = 0  # `excluding`: how deep the outermost suite is that is excluded, 0 if none is
    is_marked = is_decorator = was_marked = decorators_are_marked = False
    decorators: list[int] = []
    without_comment = _excluded_by_themselves(tokens)
    for kind, word, (row, _), (end, _), _line in tokens:
        if kind == tokenize.COMMENT:
            if cover_listing.PRAGMA_NOCOVER in word:
                found.add(row)
            elif first and _PRAGMA.search(word):
                is_marked = True
        elif kind == tokenize.INDENT:
            depth += 1
            if was_marked and not excluding:
                excluding = depth
        elif kind == tokenize.DEDENT:
            if depth == excluding:
                excluding = 0
            depth -= 1
        elif kind == tokenize.NEWLINE:
            was_marked = is_marked or decorators_are_marked or excluding > 0 or first in without_comment
            if was_marked:
                found.update(range(first, end + 1))
            if is_decorator:
                decorators += range(first, end + 1)
                decorators_are_marked = was_marked
            else:
                if was_marked:
                    found.update(decorators)
                decorators, decorators_are_marked = [], False
            first, is_marked = 0, False
        elif kind not in (tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER) and not first:
            first, is_decorator = row, word == "@"
    return found


def _excluded_by_themselves(tokens: list[tokenize.TokenInfo]) -> set[int]:
    """Return the first lines of the statements that are excluded without a comment."""
    found: set[int] = set()
    header = first = 0  # the first lines of a function whose suite begins, and of the statement
    words: list[str] = []  # of the statement
    for kind, word, (row, _), _end, _line in tokens:
        if kind == tokenize.NEWLINE:
            is_function = _begins_with(words, _FUNCTIONS)
            if words == ["..."]:
                found.update({header, first})
            elif (words[-2:] == [":", "..."] and is_function) or _begins_with(words, _FOR_TYPE_CHECKERS):
                found.add(first)
            header, words = first if is_function else 0, []
        elif kind not in _NO_CODE and kind != tokenize.ENCODING:
            first = first if words else row
            words.append(word)
    return found


def _begins_with(words: list[str], heads: tuple[tuple[str, ...], ...]) -> bool:
    return any(tuple(words[: len(head)]) == head for head in heads)


def holds(path: str, version: str) -> bool:
    """Return whether the file at *path* can be read, and is this *version* of a source."""
    try:
        return version_of(read_source(path)) == version
    except (OSError, ValueError):
        return False


def read_source(path: str) -> bytes:
    """Return the content of the source file at *path*, or raise OSError or ValueError with what kept it from that."""
    return read_regular(path, LARGEST)
