"""Finds the lines of a source file that are never missing: coverage.py excludes them, or settings of the user do.

The content of a source and the rules (`Exclusions`) come in; line numbers go out.
"""

from __future__ import annotations

import io
import re
import tokenize

from instrument.config.reports import read_expressions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

#: An executable line that has exactly this text is never missing for the standard library's `trace`.
PRAGMA_NOCOVER = "#pragma NO COVER"

#: Types of tokens that are no code.
NO_CODE = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)

# The default of coverage.py.
_PRAGMA = re.compile(r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)")
_MAY_EXCLUDE = re.compile(rb"pragma|PRAGMA|TYPE_CHECKING")
_MAY_COMPLETE = re.compile(rb"(pragma|PRAGMA).{0,9}(branch|BRANCH)")
_FOR_TYPE_CHECKERS = ("if", "TYPE_CHECKING", ":"), ("if", "typing", ".", "TYPE_CHECKING", ":")
_FUNCTIONS = ("def",), ("async", "def")


_NO_BRANCH = re.compile(r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(branch|BRANCH)")


class Pattern:
    """A regular *expression* of the user, under the *key* of the settings; `is_matched` if a source had a match."""

    __slots__ = ("expression", "is_matched", "key")

    def __init__(self, key: str, expression: re.Pattern[str]) -> None:
        self.key = key
        self.expression = expression
        self.is_matched = False

    def lines(self, text: str) -> Iterator[int]:
        """Yield the lines of *text* in which a match lies; a match may span several lines."""
        line, position = 1, 0
        for match in self.expression.finditer(text):
            self.is_matched = True
            start, end = match.span()
            line += text.count("\n", position, start)
            position = start
            yield from range(line, line + text.count("\n", start, end) + 1)


class Exclusions:
    """The rules of exclusion, with the semantics of coverage.py, and which patterns of the user matched so far.

    *lines* are regular expressions that replace the defaults of coverage.py: `# pragma: no cover`, `if TYPE_CHECKING:`
    and functions whose body is `...`. *also* adds to the defaults, or to *lines*. *partial* replaces `# pragma: no
    branch`, and *partial_also* adds to it. None leaves the defaults. The comment of `trace` excludes its line always.
    """

    def __init__(
        self,
        lines: Iterable[re.Pattern[str]] | None = None,
        also: Iterable[re.Pattern[str]] | None = None,
        partial: Iterable[re.Pattern[str]] | None = None,
        partial_also: Iterable[re.Pattern[str]] | None = None,
    ) -> None:
        self._has_defaults = lines is None
        self._has_default_of_branches = partial is None
        self._of_lines = _patterns({"exclude-lines": lines, "exclude-also": also})
        self._of_branches = _patterns({"partial-branches": partial, "partial-also": partial_also})

    @classmethod
    def configured(cls, folder: str | None = None) -> Exclusions:
        """Return the rules of the pyproject.toml that counts in *folder*, by default the working directory.

        Raise ConfigError if a value there is no list of regular expressions.
        """
        keys = ("exclude-lines", "exclude-also", "partial-branches", "partial-also")
        return cls(*(read_expressions(key, folder) for key in keys))

    def unmatched(self) -> list[Pattern]:
        """Return the patterns of the user that matched in no source so far."""
        return [pattern for pattern in (*self._of_lines, *self._of_branches) if not pattern.is_matched]

    def find(self, data: bytes, *, has_ellipsis: bool) -> tuple[frozenset[int], frozenset[int]]:
        """Return the excluded lines of the source *data*, and the lines behind which no way of a branch is missing.

        *has_ellipsis* tells that *data* has a statement `...`.

        Raise SyntaxError, ValueError or `tokenize.TokenError` if *data* is no source.
        """
        may_exclude = PRAGMA_NOCOVER.encode() in data
        if self._has_defaults:
            may_exclude = may_exclude or has_ellipsis or _MAY_EXCLUDE.search(data) is not None
        may_complete = self._has_default_of_branches and _MAY_COMPLETE.search(data) is not None
        if not (may_exclude or may_complete or self._of_lines or self._of_branches):
            return frozenset(), frozenset()
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(data).readline)
        with io.TextIOWrapper(io.BytesIO(data), encoding) as file:
            text = file.read()
        marked = {line for pattern in self._of_lines for line in pattern.lines(text)}
        partial = {line for pattern in self._of_branches for line in pattern.lines(text)}
        if may_complete:
            partial.update(Pattern("", _NO_BRANCH).lines(text))
        # Tokens take as long as all else, and most files need none.
        if not (may_exclude or marked or partial):
            return frozenset(), frozenset()
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        lines = excluded_lines(tokens, marked, has_defaults=self._has_defaults) if may_exclude or marked else ()
        return frozenset(lines), frozenset(_lines_of_statements(tokens, partial))


def _patterns(expressions: dict[str, Iterable[re.Pattern[str]] | None]) -> list[Pattern]:
    """Return the patterns of the *expressions*, by the key of the settings."""
    return [Pattern(key, expression) for key, found in expressions.items() for expression in found or ()]


def excluded_lines(
    tokens: list[tokenize.TokenInfo], marked: Set[int] = frozenset(), *, has_defaults: bool = True
) -> set[int]:
    """Return the excluded lines of a source that consists of *tokens*.

    A *marked* line excludes its statement, as in coverage.py. On the header of a suite it excludes the suite, too. On a
    decorator, or on a decorated header, it excludes all that is decorated. If the rules have the defaults,
    `# pragma: no cover` marks its line. Then `if TYPE_CHECKING:` is excluded with its suite, and so are the statement
    `...` and functions that begin with `...`. The form of `trace` excludes its line alone.

    More than 12 branches because one pass follows statements, suites and decorators together.
    """
    excluded: set[int] = set()
    first = 0  # the first line of the current statement, 0 between statements
    depth = 0
    excluded_depth = 0  # the depth of the outermost excluded suite, 0 outside of excluded suites
    is_marked = is_decorator = was_marked = decorators_are_marked = False
    decorators: list[int] = []
    without_comment = _excluded_without_comment(tokens) if has_defaults else set()
    for kind, word, (row, _), (end, _), _line in tokens:
        if kind == tokenize.COMMENT:
            if PRAGMA_NOCOVER in word:
                excluded.add(row)
            elif first and has_defaults and _PRAGMA.search(word):
                is_marked = True
        elif kind == tokenize.INDENT:
            depth += 1
            if was_marked and not excluded_depth:
                excluded_depth = depth
        elif kind == tokenize.DEDENT:
            if depth == excluded_depth:
                excluded_depth = 0
            depth -= 1
        elif kind == tokenize.NEWLINE:
            is_marked = is_marked or first in without_comment or not marked.isdisjoint(range(first, end + 1))
            was_marked = is_marked or decorators_are_marked or excluded_depth > 0
            if was_marked:
                excluded.update(range(first, end + 1))
            if is_decorator:
                decorators += range(first, end + 1)
                decorators_are_marked = was_marked
            else:
                if was_marked:
                    excluded.update(decorators)
                decorators, decorators_are_marked = [], False
            first, is_marked = 0, False
        elif kind not in (tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER) and not first:
            first, is_decorator = row, word == "@"
    return excluded


def _lines_of_statements(tokens: list[tokenize.TokenInfo], marked: set[int]) -> set[int]:
    """Return the lines of the statements, or headers of suites, that one of the *marked* lines is in."""
    lines: set[int] = set()
    first = 0
    for kind, _word, (row, _), (end, _), _line in tokens if marked else ():
        if kind == tokenize.NEWLINE:
            if not marked.isdisjoint(range(first, end + 1)):
                lines.update(range(first, end + 1))
            first = 0
        elif kind not in NO_CODE and not first:
            first = row
    return lines


def _excluded_without_comment(tokens: list[tokenize.TokenInfo]) -> set[int]:
    """Return the first lines of the statements that coverage.py excludes without a comment."""
    excluded: set[int] = set()
    header = 0  # the first line of a function if the current statement is the first of its suite
    first = 0  # the first line of the current statement
    words: list[str] = []  # the tokens of the current statement
    for kind, word, (row, _), _end, _line in tokens:
        if kind == tokenize.NEWLINE:
            is_function = _begins_with(words, _FUNCTIONS)
            if words == ["..."]:
                excluded.update({header, first})
            elif (words[-2:] == [":", "..."] and is_function) or _begins_with(words, _FOR_TYPE_CHECKERS):
                excluded.add(first)
            header, words = first if is_function else 0, []
        elif kind not in NO_CODE and kind != tokenize.ENCODING:
            first = first if words else row
            words.append(word)
    return excluded


def _begins_with(words: list[str], heads: tuple[tuple[str, ...], ...]) -> bool:
    return any(tuple(words[: len(head)]) == head for head in heads)
