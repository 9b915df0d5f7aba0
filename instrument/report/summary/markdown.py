"""Formats the summary as a table of GitHub Flavored Markdown, for comments and summaries of CI jobs.

Names may have any characters. So they are written as code, in which nothing is markup, a mention or a link.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from instrument.report.summary.rows import Summary

#: A name that a code span takes as it is: without backquotes, and without bars and backslashes, which tables use.
_PLAIN = re.compile(r"[^\s`|\\](?:[^`|\\]*[^\s`|\\])?")


def markdown_table(summary: Summary) -> Iterator[str]:
    """Yield the lines of the table of *summary*, with its notes below."""
    head = [*summary.head]
    if head[-1] == "":
        head[-1] = "Missing lines"
    yield _line(head)
    yield _line([":---", *["---:"] * (len(head) - 1)])
    for name, *cells in summary.rows:
        yield _line([code(name), *cells])
    yield _line([f"**{cell}**" if cell else "" for cell in summary.total])


def code(text: str) -> str:
    """Return Markdown that shows *text*, which is on one line, as code in a cell of a table.

    Problem: in a table, a code span cannot have a backslash in front of a bar, and is hard to make of backquotes.
    Solution: such texts become an element of HTML, with each character of markup as a reference.
    """
    if _PLAIN.fullmatch(text):
        return f"`{text}`"
    references = (char if char.isalnum() else f"&#{ord(char)};" for char in text)
    return f"<code>{''.join(references)}</code>"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
