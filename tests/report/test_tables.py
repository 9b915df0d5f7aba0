"""Tables on terminals: they have the width of the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder
from reporting import measured, run

from instrument.report.tables import Cell, styled_table, table
from instrument.report.text import columns, shortened


def test_long_paths_are_shortened_for_terminals(monkeypatch, capsys):
    """In a file, paths are complete; on a terminal, the table has its width."""
    name = f"{'deep/' * 30}module.py"
    measured(name, "x = 1\n", {1: 1})
    run("report")
    assert name in capsys.readouterr().out
    monkeypatch.setattr("instrument.report.file_table.terminal_width", lambda: 80)
    run("report", "-m")
    rows = capsys.readouterr().out.splitlines()
    assert max(map(len, rows[:-1])) <= 80
    assert rows[2].startswith("deep/deep/")
    assert "…" in rows[2]
    assert "/module.py " in rows[2]


@pytest.mark.parametrize("width", [30, 45, 60, 61, 80])
def test_a_table_keeps_to_the_width_of_the_terminal(width, monkeypatch, capsys):
    """Wide characters take two columns, remarks continue on further lines, and columns that do not fit are named."""
    measured("\u6f22\u5b57" * 20 + ".py", "x = 1\n" * 2, {1: 1})
    measured("m.py", "x = 0\nif x:\n" + "    x = 1\n" * 40, {1: 10**7, 2: 1} | dict.fromkeys(range(4, 40, 2), 1))
    monkeypatch.setattr("instrument.report.file_table.terminal_width", lambda: width)
    run("report", "-m")
    rows = capsys.readouterr().out.splitlines()
    end = next(n for n, row in enumerate(rows) if row.startswith(("Counts", "(too")))
    assert max(map(columns, rows[:end])) <= width
    assert (width == 80) is not rows[end].startswith("(too narrow for: ")
    listed = [part.strip(",") for row in rows[2:end] for part in row.split() if part.strip(",") in ("3", "5", "39-42")]
    run("report")
    assert (width >= 60) is ("(too narrow for: " not in capsys.readouterr().out)
    assert listed == ["3", "5", "39-42"]



TEXTS = st.text(st.sampled_from("ab/.\u6f22\u0301 1"), min_size=1)


@given(TEXTS, st.integers(2, 30))
def test_a_shortened_text_keeps_its_beginning_and_its_end(text, width):
    """A mark replaces the middle of a text that is too wide; other texts stay as they are."""
    found = shortened(text, width)

    if columns(text) <= width:
        assert found == text
    else:
        first, _mark, last = found.rpartition("…")
        assert columns(found) <= width
        assert text.startswith(first)
        assert text.endswith(last)


NUMBERS = st.integers(0, 10**9).map(str)
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, st.builds(Cell, NUMBERS, st.just("high"))), max_size=4)


@given(ROWS, st.none() | st.integers(20, 60))
def test_parts_with_styles_make_up_the_lines_of_the_table(rows, width):
    """A style belongs to the text of its cell, without the spaces around it. Numbers end in one column."""
    head, total = ["File", "Lines", "Hits"], ["Total", "0", "0"]
    lines = list(styled_table(head, rows, total, width))

    assert ["".join(text for text, _style in parts) for parts in lines] == list(table(head, rows, total, width))
    styled = [text for parts in lines for text, style in parts if style]
    is_cut = any(text.startswith("(too narrow") for parts in lines for text, _style in parts)
    assert styled == ([] if is_cut else [str(hits) for _name, _lines, hits in rows])
    if not is_cut:
        widths = {columns("".join(text for text, _style in parts)) for parts in lines}
        assert len(widths) == 1
        assert width is None or widths.pop() <= width
