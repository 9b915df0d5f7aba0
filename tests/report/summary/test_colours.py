"""Colours: terminals get them if rich is installed, and other output is the same with and without rich."""

import builtins
import io
import re
import sys

import pytest
from reporting import in_own_folder as in_own_folder
from reporting import measured, run

from instrument.report.summary.colours import console_of, marks_for
from instrument.report.text import columns

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "TTY_COMPATIBLE", "COLUMNS")


@pytest.fixture(autouse=True)
def a_common_terminal(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def without_rich(monkeypatch):
    """Let each import of rich fail."""
    original = builtins.__import__

    def refuse(name, *arguments):
        if name.split(".")[0] == "rich":
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)


class Terminal(io.TextIOWrapper):
    """A terminal that keeps the text that is printed."""

    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self):
        return True

    def printed(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


def report_on(monkeypatch, *arguments, encoding="utf-8"):
    """Return the text that `instrument report` prints to a terminal."""
    terminal = Terminal(encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        assert run("report", *arguments) == 0
    return terminal.printed()


def without_escapes(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def files():
    """Data of three files, with all levels of shares."""
    measured("all.py", "x = 1\n" * 20, dict.fromkeys(range(1, 21), 9))
    measured("most.py", "x = 1\n" * 20, dict.fromkeys(range(1, 18), 1000))
    measured("few.py", "x = 1\n" * 20, {1: 123456})


def test_terminals_get_colours_and_marks(files, monkeypatch):
    """Shares are green, yellow or red, and the hottest file is red. The text is the plain table, with marks."""
    printed = report_on(monkeypatch)

    for part in ("\x1b[32m✓ 100%\x1b[0m", "\x1b[33m~ 85%\x1b[0m", "\x1b[31m✗ 5%\x1b[0m", "\x1b[1;31m123456\x1b[0m"):
        assert part in printed
    rows = without_escapes(printed).splitlines()[:6]
    assert len({columns(row[: row.index("%") + 1]) for row in rows if "%" in row}) == 1
    monkeypatch.setenv("NO_COLOR", "1")
    plain = report_on(monkeypatch).splitlines()[:6]
    assert [re.sub("[✓~✗]|-+$", "", row).split() for row in rows] == [re.sub("-+$", "", row).split() for row in plain]


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False),
    ],
)
def test_variables_turn_colours_off(files, monkeypatch, variables, is_coloured):
    """Without colours, a terminal gets the plain table."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    printed = report_on(monkeypatch)
    assert ("\x1b[" in printed) is is_coloured
    assert ("✓" in printed) is is_coloured


def test_force_color_gives_colours_to_other_output(files, monkeypatch, capsys):
    """CI services show colours, although their output is no terminal. No line is cut there."""
    long_name = f"{'deep/' * 40}m.py"
    measured(long_name, "x = 1\n", {1: 1})
    run("report")
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    run("report")
    printed = capsys.readouterr().out

    assert "\x1b[32m" in printed
    assert long_name in printed


@pytest.mark.parametrize("format_", ["table", "markdown", "total"])
def test_piped_output_does_not_depend_on_rich(files, capsys, request, format_):
    """It is the same, byte for byte."""
    arguments = ["report", "--missing", "--format", format_] if format_ != "total" else ["report", "--format", "total"]
    run(*arguments)
    with_rich = capsys.readouterr()
    request.getfixturevalue("without_rich")
    run(*arguments)

    assert capsys.readouterr() == with_rich


def test_without_rich_a_terminal_gets_the_plain_table(files, monkeypatch, without_rich):
    """This is no error."""
    printed = report_on(monkeypatch)

    assert "\x1b" not in printed
    assert printed.startswith("File ")
    assert console_of(Terminal()) is None


@pytest.mark.parametrize("width", [34, 50, 64])
def test_coloured_tables_have_the_width_of_the_terminal(files, monkeypatch, width):
    """Long paths are shortened in the middle, and wide characters take two columns."""
    measured("\u6f22\u5b57" * 20 + "/module.py", "x = 1\n", {1: 1})
    monkeypatch.setenv("COLUMNS", str(width))
    rows = without_escapes(report_on(monkeypatch)).splitlines()
    table = [row for row in rows if not row.startswith(("Counts", "("))]

    assert max(map(columns, table)) <= width
    assert any("…" in row for row in table)


def test_names_cannot_control_the_terminal(monkeypatch):
    """Escape sequences and markup of rich in names are shown as they are."""
    measured("[red]a\x1b[31m:smile:.py", "x = 1\n", {1: 1})

    assert "[red]a\\x1b[31m:smile:.py" in report_on(monkeypatch)


def test_marks_fit_the_encoding(files, monkeypatch):
    """An encoding without check marks gets other marks."""
    assert marks_for(Terminal()) == ("✓", "~", "✗")
    printed = without_escapes(report_on(monkeypatch, encoding="ascii"))

    assert "+ 100%" in printed
    assert "! 5%" in printed
