"""Formats tables for terminals: rows of texts come in, aligned lines go out."""

from __future__ import annotations

from instrument.report.text import columns, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    #: A text of a line, and the name of its style; an empty text is no style.
    Part: TypeAlias = tuple[str, str]


class Cell(str):
    """The text of a cell, with the name of a *style* for terminals with colours; cells without one are plain texts."""

    __slots__ = ("style",)

    style: str

    def __new__(cls, text: str, style: str = "") -> Cell:
        cell = super().__new__(cls, text)
        cell.style = style
        return cell


# Widths in columns. No name is made shorter than this.
_SHORTEST_NAME = 8
# The least width of a remark before names are shortened.
_REMARK = 24
# No line of a remark is made shorter than this.
_SHORTEST_REMARK = 8


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    total: Sequence[str] | None = None,
    width: int | None = None,
) -> Iterator[str]:
    """Yield the lines of a table: names to the left, numbers to the right.

    A last column with an empty head has remarks, which are printed as they are. If the table is wider than *width*,
    remarks continue on further lines, and names are shortened. If it is still too wide, the last columns are left out
    and named below the table.
    """
    for parts in styled_table(head, rows, total, width):
        yield "".join(text for text, _style in parts)


def styled_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    total: Sequence[str] | None = None,
    width: int | None = None,
) -> Iterator[list[Part]]:
    """Yield the lines of `table` in parts: texts, each with the style of the Cell that it is from, or an empty text."""
    all_rows: list[Sequence[str]] = [head, *rows, *([total] if total else [])]
    left_out: list[str] = []
    if width is not None:
        all_rows, left_out = _fitted(all_rows, width)
    yield from _lines(all_rows, has_total=total is not None and bool(total), width=width)
    if left_out:
        yield [(f"(too narrow for: {', '.join(left_out)})", "")]


def _fitted(rows: list[Sequence[str]], width: int) -> tuple[list[Sequence[str]], list[str]]:
    """Return *rows*, the head first, made to fit *width*, and the heads of the columns that were left out."""
    n_remarks = int(rows[0][-1] == "")  # the last column, if it has no head
    left_out: list[str] = []
    # widths[i] is that of column i + 1: the first column, of names, takes the space that is left.
    widths = [max(columns(row[column]) for row in rows) for column in range(1, len(rows[0]))]
    if n_remarks:
        widths[-1] = min(widths[-1], _REMARK)
    # A remark shrinks to its shortest line before a column is left out.
    can_shrink = max(0, widths[-1] - _SHORTEST_REMARK) if n_remarks else 0
    while len(widths) > 1 + n_remarks and sum(widths) - can_shrink + 2 * len(widths) + _SHORTEST_NAME > width:
        last = len(widths) - n_remarks  # the last column that is no remark
        left_out.insert(0, rows[0][last])
        del widths[last - 1]
        rows = [[*row[:last], *row[last + 1 :]] for row in rows]
    width_of_names = max(_SHORTEST_NAME, width - sum(widths) - 2 * len(widths))
    return [[shortened(row[0], width_of_names), *row[1:]] for row in rows], left_out


def _lines(rows: list[Sequence[str]], *, has_total: bool, width: int | None) -> Iterator[list[Part]]:
    """Yield the lines of *rows*, the head first, and the total last if *has_total*."""
    head = rows[0]
    has_remark = head[-1] == ""
    widths = [max(columns(row[column]) for row in rows) for column in range(len(head))]
    before_remark = sum(widths[:-1]) + 2 * len(widths[:-1])
    rule = "-" * (sum(widths[: len(head) - has_remark]) + 2 * (len(head) - 1 - has_remark))

    def lines_of(row: Sequence[str]) -> Iterator[list[Part]]:
        cells = [row[0] + " " * (widths[0] - columns(row[0])), *map(str.rjust, row[1:], widths[1:])]
        remark = [row[-1]]
        if has_remark:
            if width is not None:
                remark = list(_wrapped(row[-1], max(_SHORTEST_REMARK, width - before_remark)))
            cells[-1] = remark[0]
        yield _joined(cells, [cell.style if isinstance(cell, Cell) else "" for cell in row])
        for continuation in remark[1:]:
            yield [(" " * before_remark + continuation, "")]

    yield from lines_of(head)
    yield [(rule, "")]
    for row in rows[1 : len(rows) - has_total]:
        yield from lines_of(row)
    if has_total:
        yield [(rule, "")]
        yield from lines_of(rows[-1])


def _joined(cells: list[str], styles: list[str]) -> list[Part]:
    """Return the parts of a line with these *cells*, two spaces between them, and no spaces at the end."""
    parts: list[Part] = []
    for cell, style in zip(cells, styles, strict=True):
        padding = len(cell) - len(cell.lstrip())
        parts += [("  " * bool(parts) + cell[:padding], ""), (cell[padding:], style)]
    while parts and not parts[-1][0].rstrip():
        parts.pop()
    if parts:
        parts[-1] = parts[-1][0].rstrip(), parts[-1][1]
    return parts


def _wrapped(remark: str, width: int) -> Iterator[str]:
    """Yield *remark*, parts with commas in between, in lines of *width* columns; a longer part has its own line."""
    line = ""
    for part in remark.split(", "):
        if line and len(line) + len(part) + 3 > width:
            yield line + ","
            line = part
        else:
            line = f"{line}, {part}" if line else part
    yield line
