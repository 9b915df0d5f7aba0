"""Finds the lines of a source file that are never missing: comments exclude them, or coverage.py does by default.

The tokens of a source come in; line numbers go out.
"""

from __future__ import annotations

import re
import tokenize

#: An executable line that has exactly this text is never missing for the standard library's `trace`.
PRAGMA_NOCOVER = "#pragma NO COVER"

#: Types of tokens that are no code.
NO_CODE = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)

# The default of coverage.py.
_PRAGMA = re.compile(r"#\s*(pragma|PRAGMA)[:\s]?\s*(no|NO)\s*(cover|COVER)")
_MAY_EXCLUDE = re.compile(rb"pragma|PRAGMA|TYPE_CHECKING")
_FOR_TYPE_CHECKERS = ("if", "TYPE_CHECKING", ":"), ("if", "typing", ".", "TYPE_CHECKING", ":")
_FUNCTIONS = ("def",), ("async", "def")


def may_exclude(source: bytes) -> bool:
    """Return whether lines of *source* may be excluded for another reason than a statement `...`."""
    return _MAY_EXCLUDE.search(source) is not None


def excluded_lines(tokens: list[tokenize.TokenInfo]) -> set[int]:
    """Return the excluded lines of a source that consists of *tokens*.

    `# pragma: no cover` excludes its statement, as in coverage.py. On the header of a suite it excludes the suite, too.
    On a decorator, or on a decorated header, it excludes all that is decorated. The form of `trace` excludes its line
    alone. As in coverage.py, `if TYPE_CHECKING:` is excluded with its suite; so are the statement `...` and functions
    that begin with `...`.

    More than 12 branches because one pass follows statements, suites and decorators together.
    """
    excluded: set[int] = set()
    first = 0  # the first line of the current statement, 0 between statements
    depth = 0
    excluded_depth = 0  # the depth of the outermost excluded suite, 0 outside of excluded suites
    is_marked = is_decorator = was_marked = decorators_are_marked = False
    decorators: list[int] = []
    without_comment = _excluded_without_comment(tokens)
    for kind, word, (row, _), (end, _), _line in tokens:
        if kind == tokenize.COMMENT:
            if PRAGMA_NOCOVER in word:
                excluded.add(row)
            elif first and _PRAGMA.search(word):
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
            was_marked = is_marked or decorators_are_marked or excluded_depth > 0 or first in without_comment
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
