"""Colours the lines of a Python source.

The text of a source comes in, and a list of HTML texts goes out, one a line. Everything from the source is escaped.

Problem: Pygments takes 0.6 s for 10,000 lines, some 45 s for sympy.
Solution: the standard library's `tokenize` takes 0.07 s. Its tokens are those of the Python that reads the source. A
source that it cannot read to the end is plain text from there on.
Alternatives: Pygments in several processes takes more code than the classes of tokens below.
"""

from __future__ import annotations

import builtins
import io
import keyword
import re
import tokenize
from html import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.analysis.source_file import SourceFile

#: Classes of tokens, as the style sheet has them.
KEYWORD, BUILTIN, NAME, STRING, NUMBER, COMMENT, DECORATOR = "k", "b", "f", "s", "n", "c", "d"

_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
_STRINGS = ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END", "TSTRING_START", "TSTRING_MIDDLE", "TSTRING_END")
_CLASSES = {
    tokenize.COMMENT: COMMENT,
    tokenize.NUMBER: NUMBER,
    tokenize.STRING: STRING,
    # Literals with fields are several tokens from 3.12 (f) and 3.14 (t) on.
    **{getattr(tokenize, name): STRING for name in _STRINGS if hasattr(tokenize, name)},
}
_BETWEEN_LINES = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENCODING)

#: Characters that a page would not show, or that change the order of others.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def source_text(source: SourceFile) -> str:
    """Return the text of *source*, with line feeds at the ends of lines. Bytes that its encoding lacks are replaced."""
    try:
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(source.data).readline)
    except SyntaxError:
        encoding = "utf-8-sig"
    return io.TextIOWrapper(io.BytesIO(source.data), encoding, "replace").read()


def marked_lines(text: str) -> list[str]:
    """Return the lines of *text* as HTML, with an element `i` around each token that has a class."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    marked: list[list[str]] = [[] for _ in lines]
    ends = [0] * len(lines)
    for n, start, end, name in _spans(text):
        if n < len(lines) and start >= ends[n]:
            line = lines[n]
            plain, token = line[ends[n] : start], line[start:end]
            marked[n].append(f"{_escaped(plain)}<i class={name}>{_escaped(token)}</i>" if token else _escaped(plain))
            ends[n] = start + len(token)
    for n, line in enumerate(lines):
        marked[n].append(_escaped(line[ends[n] :]))
    return ["".join(parts) for parts in marked]


def _escaped(text: str) -> str:
    """Return *text* as HTML; characters that nobody would see are shown by their numbers."""
    return escape(text if text.isprintable() else _UNSEEN.sub(_number_of, text))


def _number_of(match: re.Match[str]) -> str:
    """Return the number of the character that *match* has, in the way of Unicode."""
    return f"\N{MATHEMATICAL LEFT ANGLE BRACKET}U+{ord(match[0]):04X}\N{MATHEMATICAL RIGHT ANGLE BRACKET}"


def _spans(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Yield line from 0, start, end and class of each token of *text* that has a class, in the order of the text."""
    try:
        for token, name in _classified(text):
            (first, start), (last, end) = token.start, token.end
            if first == last:
                yield first - 1, start, end, name
            else:
                yield first - 1, start, len(text), name
                for n in range(first, last - 1):
                    yield n, 0, len(text), name
                yield last - 1, 0, end, name
    except (tokenize.TokenError, SyntaxError):  # the source is of another Python
        return


def _classified(text: str) -> Iterator[tuple[tokenize.TokenInfo, str]]:
    """Yield each token of *text* that has a class, with the class."""
    previous, is_first, in_decorator = "", True, False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind, string = token.type, token.string
        name = _CLASSES.get(kind, "")
        if kind == tokenize.OP:
            in_decorator = (string == "@" and is_first) or (in_decorator and string == ".")
            name = DECORATOR if in_decorator else ""
        elif kind == tokenize.NAME:
            name = DECORATOR if in_decorator else _class_of_name(token, previous, is_first)
        if name:
            yield token, name
        is_first = kind in _BETWEEN_LINES
        in_decorator = in_decorator and not is_first
        previous = string


def _class_of_name(token: tokenize.TokenInfo, previous: str, is_first: bool) -> str:
    """Return the class of the name *token*, which follows the token *previous*, or is the first of its line."""
    string = token.string
    if previous == ".":
        return ""
    if keyword.iskeyword(string) or (is_first and _is_soft_keyword(token)):
        return KEYWORD
    if previous in ("def", "class"):
        return NAME
    return BUILTIN if string in _BUILTINS else ""


def _is_soft_keyword(token: tokenize.TokenInfo) -> bool:
    """Return whether *token*, the first of its line, begins a statement such as `match x:` or `type X = int`."""
    rest = token.line[token.end[1] :].strip()
    if token.string in ("match", "case"):
        return rest.endswith(":") and not rest.startswith((":", "=", ".", ","))
    return token.string == "type" and re.match(r"\w+\s*(=|\[)", rest) is not None
