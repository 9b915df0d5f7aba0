"""The table of files: its columns, its order, and the remarks below it."""

import json
import os
import re
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from analysed_files import flow_of
from processes import A, Running, files, write
from reporting import SHOP, measured, run
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.analysis.source_file import version_of
from instrument.data.process_identity import KernelIdentity
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say when a process was started")
def test_missing_counts_of_running_and_killed_processes_are_mentioned(capsys):
    """A running process has counted more than it has written, and so had a killed one."""
    write(".instrument", "one", {A: {1: 1}})
    run("report")
    assert "is not in these counts" not in capsys.readouterr().out
    with Running() as pid:
        write(".instrument", "two", {A: {1: 1}}, pid=pid, ended="")
        run("report")
        assert re.fullmatch(
            r"\(1 process may still be running: what it ran after 2[-0-9: ]+ is not in these counts\)",
            capsys.readouterr().out.splitlines()[-1],
        )
        for n, words in enumerate(("(1 process ended, and its last", "(2 processes ended, and their last")):
            writer = write(".instrument", f"killed{n}", {A: {1: 1}}, ended="")
            connection = sqlite3.connect(writer.path)
            with connection:  # it is known when it was started, and no such process is there
                connection.execute("UPDATE process SET ticks = 7, place = ?", (KernelIdentity(os.getpid()).place,))
            connection.close()
            run("report")
            assert capsys.readouterr().out.splitlines()[-1].startswith(f"{words} counts are missing: what ")
        Path("before.sqlite").write_bytes(Path(writer.path).read_bytes())  # as `snapshot --copy` makes it
        run("report", "before.sqlite")
        assert capsys.readouterr().out.splitlines()[-1].startswith("(1 process ended, and its last counts are missing")
        run("report", "--unused-for", "1d")
        assert "(Not certain: 2 processes ended without saving the last counts," in capsys.readouterr().out
        run("report", "--json")
        document = json.loads(capsys.readouterr().out)
        assert (len(document["cut_off"]), len(document["running"])) == (2, 1)


def test_another_python_is_named(capsys):
    """The lines that can run depend on the version of Python."""
    measured("m.py", "x = 1\n", {1: 1})
    [name] = files(".instrument")
    connection = sqlite3.connect(f".instrument/{name}")
    with connection:
        connection.execute("UPDATE process SET python = '3.2.1'")
    connection.close()
    run("report")
    assert "Measured by Python 3.2, reported by" in capsys.readouterr().err


def test_the_table(shop, capsys):
    """It has file, lines, missing, hits and hottest line, the total, the missing lines, and the begin of the counts."""
    import sqlite3

    [name] = files(".instrument")
    connection = sqlite3.connect(f".instrument/{name}")
    with connection:
        connection.execute("UPDATE process SET started = 1e9")
    connection.close()
    assert run("report", "--missing") == 0
    assert capsys.readouterr().out == (
        "File     Lines  Missing  Ran  Hits  Hottest line\n"
        "------------------------------------------------\n"
        "shop.py     11        3  73%    15          3: 4  5, 13-14\n"
        "------------------------------------------------\n"
        "Total       11        3  73%    15\n"
        f"Counts of 1 process in 1 run, since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(1e9))}\n"
    )


def test_a_folder_is_reported_as_if_combined(shop, capsys):
    """The table of many files is that of their sum."""
    write(".instrument", "two", {shop: {5: 1}})
    run("report", "-m")
    before = capsys.readouterr().out
    run("combine")
    capsys.readouterr()
    run("report", "-m")

    assert "13-14" in before
    assert capsys.readouterr().out == before


@pytest.mark.parametrize(
    ("sort", "order"), [("file", "abc"), ("lines", "cba"), ("missing", "bca"), ("hits", "acb"), ("hottest", "acb")]
)
def test_rows_are_sorted(sort, order, capsys):
    """By name, or by a number, the greatest first."""
    sources = {"a": "x = 1\n", "b": "x = 1\nx = 2\nx = 3\n", "c": "x = 1\n" * 4}
    ran = {"a": {1: 100}, "b": {1: 1}, "c": {1: 9, 2: 9}}
    lines = {}
    for name, source in sources.items():
        Path(f"{name}.py").write_text(source)
        lines[os.path.abspath(f"{name}.py"), version_of(source.encode())] = ran[name]
    write(".instrument", "one", lines)
    run("report", "--sort", sort)

    if sort == "missing":
        assert sorted(capsys.readouterr().out.splitlines()[2:5])  # b and c miss two each
    else:
        assert [line[0] for line in capsys.readouterr().out.splitlines()[2:5]] == list(order)


@pytest.mark.parametrize("format_", ["table", "markdown"])
def test_counts_of_branches_are_shown(shop, capsys, monkeypatch, format_):
    """Ways count as lines, and ways never taken are listed. The table needs no counts of single lines for that."""
    flow = flow_of({(3, 4): 3, (3, 8): 0, (4, 5): 0, (4, 7): 3}, instructions={3: 12})
    monkeypatch.setattr(StoredMeasurement, "flow", lambda self, keys: flow)
    options = ["--branch", "--cost", "--missing", "--precision", "1"]
    run("report", *options, "--format", format_)
    output = capsys.readouterr().out
    row = output.splitlines()[2].replace("|", " ").replace("`", "").split()

    assert row == ["shop.py", "11", "3", "4", "2", "66.7%", "12", "15", "3:", "4", "3->8,", "5,", "13-14"]
    assert "not known" not in output
    run("report", "--branch", "--format", "total")
    assert capsys.readouterr().out == "67\n"
    assert run("report", "--fail-under-branch", "52") == 2
    assert "50.00% of the ways of branches were taken, 2.00 points below" in capsys.readouterr().err


def test_stale_source_is_named(shop, capsys):
    """A source that has changed is marked, and no line of it is called missing."""
    Path("shop.py").write_text(SHOP + "x = 1\n")
    run("report", "-m")
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split() == ["shop.py", "(stale)", "-", "-", "-", "15", "3:", "4"]
    assert "Stale source: " in output.err
    assert "has changed since it was measured" in output.err



def test_the_total_of_unknown_lines_is_an_error(shop, capsys):
    """100 would be wrong: a program that reads the number takes it for the share of the lines."""
    Path("shop.py").write_text(SHOP + "x = 1\n")
    with pytest.raises(DataError, match="the lines of no file are known"):
        run("report", "--format", "total")
    assert capsys.readouterr().out == ""
