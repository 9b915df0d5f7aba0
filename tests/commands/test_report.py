"""`instrument report`: its arguments, and errors if there is no data."""

import argparse
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import NO_SUCH_PID, A, write
from reporting import SHOP, UNRELATED, measured, run, table_rows
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.analysis.source_file import version_of
from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
from instrument.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("command", [["report"], ["report", "--json"], ["annotate"], ["combine"]])
def test_unreadable_data_alone_is_an_error(command):
    """If all data is refused, the message gives the reasons, and the exit status is that of an error."""
    Path(".instrument").mkdir()
    Path(".instrument/foreign.sqlite").write_text("something else")
    with pytest.raises(
        DataError,
        match=f"no data that can be read in '.instrument'; '.instrument/foreign.sqlite' was skipped: {UNRELATED}",
    ):
        run(*command)
    with pytest.raises(DataError, match="no data in 'nowhere'; 'nowhere' was skipped: No such file"):
        run(*command, "nowhere")


@pytest.mark.parametrize("command", ["report", "annotate", "combine", "erase"])
def test_the_folder_of_the_data_can_be_named(command, tmp_path):
    """`--dir` has the same meaning for each command."""
    key = measured("m.py", "x = 1\n", {1: 1})
    os.rename(".instrument", "data")
    assert run(command, "--dir", "data") == 0
    assert key
    assert not os.path.exists(".instrument")


def test_the_help_says_what_the_columns_are():
    """The help describes each column."""
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    importlib.import_module("instrument.commands.report").add_arguments(parser)
    words = parser.format_help()
    for column in ("Lines", "Missing", "Ran", "Hits", "Hottest line", "Branch", "BrMiss", "Instructions"):
        assert f"\n  {column} " in words


@pytest.mark.parametrize("command", ["combine", "report", "annotate"])
def test_no_data_is_an_error(command):
    """The message says how to get data."""
    with pytest.raises(DataError, match=r"no data in '.instrument'.*INSTRUMENT=1"):
        run(command)
    assert not os.path.exists(".instrument")


@pytest.mark.parametrize("command", ["report", "annotate", "combine"])
def test_no_data_here_says_where_it_may_be(command, tmp_path, monkeypatch):
    """The data may be in a folder above; or PATH is a source file; or nothing is written, as others can write there."""
    Path("shop.py").write_text(SHOP)
    with pytest.raises(DataError, match=r"--include 'shop.py' chooses a source file, a PATH is of data"):
        run(command, "shop.py")
    write(".instrument", "one", {A: {1: 1}})
    (tmp_path / "sub" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "sub" / "sub")
    with pytest.raises(DataError, match=f"there is data in '{tmp_path}/.instrument'"):
        run(command)
    Path("open").mkdir()
    Path("open").chmod(0o777)
    with pytest.raises(DataError, match="saves nothing in 'open': others can write to it"):
        run(command, "open")
    monkeypatch.setenv("INSTRUMENT_SHARED", "1")
    with pytest.raises(DataError) as raised:
        run(command, "open")
    assert "saves nothing" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("30d", 2592000), ("1w", 604800)]
)
def test_a_duration_is_a_number_and_a_unit(words, seconds):
    """Each unit is understood."""
    from instrument.commands.report import duration

    assert duration(words) == seconds


@pytest.mark.parametrize("words", ["", "30", "d", "-1d", "1y", "1e9d", "nand", "9" * 400 + "d"])
def test_other_texts_are_no_durations(words, capsys):
    """The message shows examples."""
    with pytest.raises(SystemExit):
        run("report", f"--unused-for={words}")
    assert "say 90s, 15m" in capsys.readouterr().err


@pytest.mark.slow
def test_a_large_folder_is_reported_in_time(tmp_path, capsys):
    """A hundred thousand lines take seconds."""
    process_ = ProcessInfo.current()
    process_.pid = NO_SUCH_PID
    writer = Writer(".instrument", process_)
    source = b"x = 1\n" * 1000
    Path("m.py").write_bytes(source)
    writer.write(
        {"lines": [
            ((f"{tmp_path}/{n}.py", version_of(source)), dict.fromkeys(range(1, 1001), (1, 1.0, 1.0)))
            for n in range(100)
        ]},
        {},
        "exit",
    )
    begin = time.perf_counter()
    run("report")
    assert time.perf_counter() - begin < 20
    assert "100000" in capsys.readouterr().out


def test_an_unwritable_folder_for_copies_is_named(monkeypatch):
    """If no copy can be made, the message names the folder, without a traceback."""
    write(".instrument", "one", {A: {1: 1}})
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    for command in ("report", "combine", "annotate"):
        with pytest.raises(DataError, match="/nowhere"):
            run(command)


def failed(capsys, *arguments):
    """Run a report with *arguments*, which fails a bound; return the lines about bounds on standard error."""
    assert run("report", *arguments) == 2
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("instrument: ")]


def test_a_bound_that_fails_is_named_and_sets_the_exit_status(shop, capsys):
    """The report is printed in any format. A bound that is kept changes nothing."""
    assert run("report", "--fail-under", "72", "--fail-under-hits", "0001", "--include", "nothing,shop.py") == 2
    output = capsys.readouterr()
    assert output.out.startswith("File ")
    assert "instrument: 3 lines ran less often than --fail-under-hits 1: shop.py:5 (0), shop.py:13 (0)" in output.err

    message = "instrument: 72.73% of lines ran, 7.27 points below --fail-under 80"
    for format_ in ("table", "json", "total", "markdown"):
        assert failed(capsys, "--fail-under", "80", "--format", format_) == [message]
    assert failed(capsys, "--fail-under", "80", "--branch", "--precision", "1", "--json") == [message]
    assert run("report", "--fail-under", "72.7") == 0
    assert run("report", "--fail-under", "72.73") == 0
    assert "below" not in capsys.readouterr().err


def test_bounds_and_precision_can_be_in_pyproject_toml(shop, capsys):
    """An option takes precedence."""
    Path("pyproject.toml").write_text("[tool.instrument]\nfail-under = 80\nfail_under_hits = 2\nprecision = 1\n")
    counts = {1: 1, 2: 1, 5: 0, 8: 1, 11: 1, 13: 0, 14: 0, 17: 1}
    rare = ", ".join(f"shop.py:{line} ({count})" for line, count in counts.items())

    assert failed(capsys, "--format", "total") == [
        "instrument: 72.73% of lines ran, 7.27 points below [tool.instrument] of pyproject.toml, fail-under = 80",
        "instrument: 8 lines ran less often than [tool.instrument] of pyproject.toml, fail-under-hits = 2: " + rare,
    ]
    assert run("report", "--fail-under", "70", "--fail-under-hits", "1", "--format", "total") == 2
    assert capsys.readouterr().out == "72.7\n"
    assert run("report", "--precision", "0", "--format", "total", "--fail-under", "3") == 2
    assert capsys.readouterr().out == "73\n"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("fail-under = 101", "key 'fail-under': '101' is no percentage; say a number from 0 to 100"),
        ("fail-under = nan", "'nan' is no percentage"),
        ("fail-under-branch = '80'", "key 'fail-under-branch' is a string; it must be a number"),
        ("fail-under-branch = true", "key 'fail-under-branch' is a boolean; it must be a number"),
        ("fail-under-hits = 0", "key 'fail-under-hits': '0' is no whole number from 1 on"),
        ("fail-under-hits = 1.5", "key 'fail-under-hits': '1.5' is no whole number from 1 on"),
        ("precision = 10", "key 'precision': '10' is no number of decimals; say a number from 0 to 9"),
        ("exclude-also = ['*']", r"key 'exclude-also': '\*' is no regular expression: nothing to repeat"),
    ],
)
def test_bad_values_in_pyproject_toml_are_named(shop, toml, message):
    """The message has the file, the key and the value."""
    Path("pyproject.toml").write_text(f"[tool.instrument]\n{toml}\n")
    with pytest.raises(ConfigError, match=message) as raised:
        run("report")
    assert f"{os.getcwd()}/pyproject.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-under", "101"], "'101' is no percentage; say a number from 0 to 100"),
        (["--fail-under-branch", "x"], "'x' is no percentage"),
        (["--fail-under-hits", "-1"], "'-1' is no whole number from 1 on"),
        (["--top", "0"], "'0' is no whole number from 1 on"),
        (["--max-count", "1e3"], "'1e3' is no whole number"),
        (["--precision", "12"], "'12' is no number of decimals"),
        (["--sort", "size"], "invalid choice: 'size'"),
        (["--top", "3", "--json"], "--top has no effect on --format json"),
        (["--branch", "--json"], "--branch has no effect on --format json"),
        (["--skip-covered", "--format", "total"], "--skip-covered has no effect on --format total"),
        (["--unit", "events", "--unused-for", "1d"], "--unit has no effect on --format unused"),
    ],
)
def test_impossible_options_are_refused(shop, capsys, arguments, message):
    """The message has the value, or the option and the format."""
    with pytest.raises(SystemExit) as ended:
        run("report", *arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_data_without_flow_have_no_executions_and_no_bound_of_branches(shop):
    """The messages say how to get them, or how to do without."""
    with pytest.raises(DataError, match="--unit executions: these data have no counts of executions; measure again"):
        run("report", "--unit", "executions")
    with pytest.raises(DataError, match="--fail-under-branch 50: these data have no counts of branches"):
        run("report", "--fail-under-branch", "50")


@pytest.mark.parametrize(
    ("arguments", "order"), [([], "abc"), (["--sort=-file"], "cba"), (["--sort", "-missing"], "abc")]
)
def test_an_order_can_be_reversed(capsys, arguments, order):
    """`--sort -missing` is one option, although `-m` is another one."""
    from instrument.commands.report import split

    for n, name in enumerate("abc"):
        measured(f"{name}.py", "x = 1\n" * (n + 1), {1: 1})
    arguments, program = split(arguments)
    assert program == []
    assert run("report", *arguments) == 0
    assert "".join(row[0][0] for row in table_rows(capsys.readouterr().out)) == order


def test_other_arguments_are_left_as_they_are():
    """Only the word after `--sort` is part of it."""
    from instrument.commands.report import split

    assert split(["-m", "--sort", "hits", "-missing", "--sort"])[0] == ["-m", "--sort", "hits", "-missing", "--sort"]
    assert split(["--sort", "-hits", "data"])[0] == ["--sort=-hits", "data"]


def test_the_options_of_the_table_have_an_effect(shop, capsys):
    """Columns, rows and notes are as the options ask for."""
    measured("other.py", "x = 1\n", {1: 1000})
    options = ["--branch", "--cost", "--thousands", "--precision", "2", "--top", "1", "--sort", "hits", "--missing"]
    run("report", *options, "--max-count", "1000", "--skip-empty", "--unit", "events")

    assert capsys.readouterr().out.splitlines()[:-2] == [
        "File      Lines  Missing  Branch  BrMiss      Ran  Instructions   Hits  Hottest line",
        "------------------------------------------------------------------------------------",
        "other.py      1        0       -       -  100.00%             -  1,000      1: 1,000",
        "------------------------------------------------------------------------------------",
        "Total        12        3       -       -   75.00%             -  1,000",
        "(1 more row not shown; the total is of all files)",
        "(counts above 1000 are shown as 1000)",
        "(not known for 2 files: branches, instructions)",
    ]
    run("report", "--skip-covered")
    output = capsys.readouterr().out
    assert [row[0] for row in table_rows(output)] == ["shop.py"]
    assert "(1 file not shown: nothing is missing there)" in output


def test_markdown_and_the_total_are_formats(shop, capsys):
    """Markdown has the numbers of the table, with the notes below; the total is a number alone."""
    run("report", "--format", "markdown", "--missing")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "| File | Lines | Missing | Ran | Hits | Hottest line | Missing lines |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| `shop.py` | 11 | 3 | 73% | 15 | 3: 4 | 5, 13-14 |",
        "| **Total** | **11** | **3** | **73%** | **15** |  |  |",
        "",
    ]
    assert lines[5].startswith("Counts of 1 process in 1 run, since 2")
    run("report", "--format", "total")
    assert capsys.readouterr().out == "73\n"


def test_no_measured_process_imports_rich(tmp_path):
    """The program would see it. A report in a process of its own has colours."""
    Path("program.py").write_text("import sys\nprint([name for name in sys.modules if name.startswith('rich')])\n")
    command = [sys.executable, "-m", "instrument", "run", "-q", "program.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FORCE_COLOR": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=True)
    assert ran.stdout == "[]\n"
    command = [sys.executable, "-m", "instrument", "report", "--sort", "-missing", "--fail-under", "100"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=True)
    assert "\x1b[32m✓ 100%" in ran.stdout
