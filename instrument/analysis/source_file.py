"""SourceFile: a source file as it is now, compared with the measured version, and the lines that can run in it.

A path and the measured version come in. Data files may name any path, so a source file is only read, never executed.
"""

from __future__ import annotations

import ast
import os
import stat
import tokenize
import types
import warnings
from hashlib import sha256

from instrument.analysis.branching.statements import StatementLines
from instrument.analysis.code_lines import Syntax, code_lines
from instrument.analysis.exclusions import Exclusions
from instrument.guest.trusted_files import read_regular
from instrument.link.source_versions import LARGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from instrument.analysis.code_lines import Definition
    from instrument.model.flow_counts import FlowCounts
    from instrument.model.measurement import FunctionKey


#: The states of a source file, compared with the measured version.
CURRENT, STALE, MISSING, UNKNOWN = "current", "stale", "missing", "unknown"

#: The kinds of code objects. Annotations are code that Python runs only on request. So are the values of type aliases,
#: and the bounds and defaults of type parameters.
FUNCTION, CLASS, MODULE, ANNOTATIONS = "function", "class", "module", "annotations"
#: The scope of type parameters, which runs each time its `def`, `class` or `type` runs.
TYPE_PARAMETERS = "type parameters"
_TYPE_PARAMETERS = "<generic parameters of "

#: Exceptions of a source that this Python cannot compile. SystemError shows a defect of the compiler, as for some uses
#: of `__class__` on 3.12.1.
_NOT_COMPILED = (SyntaxError, ValueError, tokenize.TokenError, RecursionError, MemoryError, SystemError)


def archive_of(path: str) -> str:
    """Return the archive that has the file *path*, as in `app.pyz/main.py`; an empty text if it is in no archive."""
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


class SourceFile:
    """The source file at `path`, and its lines and functions if it is the measured version.

    `state` is CURRENT, STALE, MISSING or UNKNOWN. `reason` says why no lines are known. It is empty if the file is
    current and can be compiled. Then
    - `executable` has the lines that can run, without docstrings;
    - `annotations` has those of them that only annotations, or the message of an `assert`, run;
    - `excluded` has the lines that the rules of exclusion exclude;
    - `complete` has the lines behind which these rules call no way missing;
    - `never_missing` has `annotations` and `excluded`, and the lines of docstrings;
    - `kinds` maps each code object, by qualified name and first line, to its kind;
    - `statements` has the StatementLines; None if the flow of control is not needed;
    - `flow` has the FlowCounts of the code, all zeros, if no version was measured; None if that is not needed;
    - `has_code` is False if the file has nothing but docstrings and comments.
    """

    def __init__(
        self,
        path: str,
        version: str | None,
        *,
        is_optimized: bool = False,
        exclusions: Exclusions | None = None,
        needs_flow: bool = False,
    ) -> None:
        """Read the file at *path*, and compare it with *version*; without a version any content is current.

        With *is_optimized*, it was compiled with -O, which leaves out assert statements and `if __debug__:`. Without
        *exclusions*, the defaults of coverage.py exclude lines. Find `statements` and `flow` only if the caller
        *needs_flow*.
        """
        self.path = path
        self.data = b""
        self.executable = self.annotations = self.excluded = self.never_missing = self.complete = frozenset[int]()
        self.kinds: dict[FunctionKey, str] = {}
        self.has_code = False
        self.flow: FlowCounts | None = None
        self._needs_flow, self._is_measured = needs_flow, version is not None
        self.statements: StatementLines | None = None
        #: The result of `functions`.
        self._functions: dict[FunctionKey, set[int]] = {}
        #: The result of `function_ids`, None before its first call.
        self._function_ids: dict[FunctionKey, str] | None = None
        self.state, self.reason = self._compare(version)
        if self.state == CURRENT:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._analyse(is_optimized, exclusions or Exclusions())
            except _NOT_COMPILED as error:
                self.reason = f"it cannot be compiled by this Python: {error}"

    def _compare(self, version: str | None) -> tuple[str, str]:
        """Return the state of the file, and the reason for it as a text for users."""
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

    def _analyse(self, is_optimized: bool, exclusions: Exclusions) -> None:
        """Set the attributes for lines and functions; raise one of `_NOT_COMPILED` if the file cannot be compiled."""
        # The measured process decides about -O, not this one. (-OO leaves out docstrings, which are not counted.)
        code = compile(self.data, self.path, "exec", dont_inherit=True, optimize=int(is_optimized))
        tree = ast.parse(self.data, self.path)
        syntax = Syntax(tree)
        excluded, self.complete = exclusions.find(self.data, has_ellipsis=syntax.has_ellipsis)
        lines_of_code, lines_of_annotations = self._walk(code, syntax.definitions, excluded)
        docstrings = syntax.docstrings - syntax.statements  # the line of `class C: "docstring"` is in both
        self.executable = frozenset((lines_of_code | lines_of_annotations) - docstrings)
        # From 3.14 on, the line of a parameter with a default may be in the code of annotations only.
        self.annotations = self.executable - (syntax.statements & lines_of_code)
        self.excluded = excluded
        self.never_missing = self.annotations | self.excluded | docstrings
        self.has_code = syntax.has_code
        if self._needs_flow:
            self.statements = StatementLines(tree, self.data.splitlines(), lines_of_code)
        if self._needs_flow and not self._is_measured and self.has_code:
            from instrument.flow.derived.derivation import static_flow

            self.flow = static_flow(code)

    def _walk(
        self, module: types.CodeType, definitions: dict[FunctionKey, Definition], excluded: frozenset[int]
    ) -> tuple[set[int], set[int]]:
        """Fill `kinds` and `_functions` from the code of the file, *module*, and from all code in it.

        Return the lines of all code but annotations, and the lines of annotations. *definitions* is
        `Syntax.definitions`. A function whose `def` is on one of the *excluded* lines is not added to `_functions`.
        """
        lines, lines_of_annotations = set[int](), set[int]()
        remaining = [(module, MODULE)]
        while remaining:
            code, kind = remaining.pop()
            own_lines = code_lines(code)
            (lines_of_annotations if kind == ANNOTATIONS else lines).update(own_lines)
            key = code.co_qualname, code.co_firstlineno
            self.kinds.setdefault(key, kind)
            definition = definitions.get((code.co_name, code.co_firstlineno))
            if kind == FUNCTION and definition and definition.line not in excluded:
                self._functions[key] = own_lines - {code.co_firstlineno}  # the line of the `def` is not in the body
            nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
            remaining.extend((each, kind if kind == ANNOTATIONS else _kind(each, definitions)) for each in nested)
        return lines, lines_of_annotations

    def lines_within(self, functions: Collection[FunctionKey]) -> tuple[set[int], set[FunctionKey]]:
        """Return the lines of *functions*, and which functions these are, with code that is nested in them.

        A function that the file does not have is left out. Call this only if `reason` is empty.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            remaining = [(compile(self.data, self.path, "exec", dont_inherit=True, optimize=0), False)]
        lines: set[int] = set()
        keys: set[FunctionKey] = set()
        while remaining:
            code, is_within = remaining.pop()
            key = code.co_qualname, code.co_firstlineno
            is_within = is_within or key in functions
            if is_within:
                keys.add(key)
                lines.update(code_lines(code))
            nested = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
            remaining.extend((each, is_within) for each in nested)
        return lines, keys

    def owners(self) -> dict[int, FunctionKey]:
        """Return the code object that each line belongs to: the outermost, if several have code on the line.

        Call this only if `reason` is empty.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = compile(self.data, self.path, "exec", dont_inherit=True, optimize=0)
        owners: dict[int, FunctionKey] = {}
        level = [module]
        while level:
            for code in level:
                for line in code_lines(code):
                    owners.setdefault(line, (code.co_qualname, code.co_firstlineno))
            level = [each for code in level for each in code.co_consts if isinstance(each, types.CodeType)]
        return owners

    def functions(self) -> dict[FunctionKey, set[int]]:
        """Return the functions that have a name and are not excluded, each with the lines of its body."""
        return self._functions

    def function_ids(self) -> dict[FunctionKey, str]:
        """Return the ids of code objects, see `flow.derived.function_ids`; none if the lines are not known."""
        if self._function_ids is None:
            self._function_ids = {}
            if self.state == CURRENT and not self.reason:
                from instrument.flow.derived.function_ids import function_ids

                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._function_ids = function_ids(ast.parse(self.data, self.path))
        return self._function_ids


def _kind(code: types.CodeType, definitions: dict[FunctionKey, Definition]) -> str:
    """Return the kind of *code*, which is not a module's, in a source with these *definitions*."""
    if code.co_name.startswith(_TYPE_PARAMETERS):
        return TYPE_PARAMETERS
    if code.co_name.startswith("<"):
        return FUNCTION  # a lambda or a comprehension
    # The compiler made other code objects of annotations and the like: no definition has this name on this line.
    definition = definitions.get((code.co_name, code.co_firstlineno))
    if definition is None:
        return ANNOTATIONS
    return CLASS if definition.is_class else FUNCTION


def kind_by_name(name: str) -> str:
    """Return the kind of a code object with this qualified *name*, without its source."""
    last = name.rpartition(".")[2]
    if last.startswith(_TYPE_PARAMETERS):
        return TYPE_PARAMETERS
    return {"<module>": MODULE, "__annotate__": ANNOTATIONS}.get(last, FUNCTION)


def version_of(data: bytes) -> str:
    """Return the version of a source file whose content is *data*."""
    return f"sha256:{sha256(data).hexdigest()}"


def has_version(path: str, version: str) -> bool:
    """Return whether the file at *path* can be read and is this *version* of a source."""
    try:
        return version_of(read_source(path)) == version
    except (OSError, ValueError):
        return False


def read_source(path: str) -> bytes:
    """Return the content of the source file at *path*; raise OSError or ValueError if it cannot be read."""
    return read_regular(path, LARGEST)
