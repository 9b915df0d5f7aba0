"""Formats tables for terminals: rows of texts come in, aligned lines go out."""

from __future__ import annotations

from instrument.report.text import columns, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    all_rows: list[Sequence[str]] = [head, *rows, *([total] if total else [])]
    left_out: list[str] = []
    if width is not None:
        all_rows, left_out = _fitted(all_rows, width)
    yield from _lines(all_rows, has_total=total is not None and bool(total), width=width)
    if left_out:
        yield f"(too narrow for: {', '.join(left_out)})"


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


def _lines(rows: list[Sequence[str]], *, has_total: bool, width: int | None) -> Iterator[str]:
    """Yield the lines of *rows*, the head first, and the total last if *has_total*."""
    head = rows[0]
    has_remark = head[-1] == ""
    widths = [max(columns(row[column]) for row in rows) for column in range(len(head))]
    before_remark = sum(widths[:-1]) + 2 * len(widths[:-1])
    rule = "-" * (sum(widths[: len(head) - has_remark]) + 2 * (len(head) - 1 - has_remark))

    def lines_of(row: Sequence[str]) -> Iterator[str]:
        cells = [row[0] + " " * (widths[0] - columns(row[0])), *map(str.rjust, row[1:], widths[1:])]
        if not has_remark:
            yield "  ".join(cells).rstrip()
            return
        remark = [row[-1]]
        if width is not None:
            remark = list(_wrapped(row[-1], max(_SHORTEST_REMARK, width - before_remark)))
        cells[-1] = remark[0]
        yield "  ".join(cells).rstrip()
        for continuation in remark[1:]:
            yield " " * before_remark + continuation

    yield from lines_of(head)
    yield rule
    for row in rows[1 : len(rows) - has_total]:
        yield from lines_of(row)
    if has_total:
        yield rule
        yield from lines_of(rows[-1])


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
