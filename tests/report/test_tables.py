"""Tables on terminals: they have the width of the terminal."""

import pytest
from reporting import in_own_folder as in_own_folder
from reporting import measured, run

from instrument.report.text import columns


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

