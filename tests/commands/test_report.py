"""`instrument report`: its arguments, and errors if there is no data."""

import argparse
import importlib
import os
import time
from pathlib import Path

import pytest
from processes import NO_SUCH_PID, A, write
from reporting import SHOP, UNRELATED, measured, run
from reporting import in_own_folder as in_own_folder

from instrument.analysis.source_file import version_of
from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
from instrument.errors import DataError


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
    for column in ("Lines", "Missing", "Ran", "Hits", "Hottest line"):
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
    for command in ("report", "combine", "annotate", "erase"):
        with pytest.raises(DataError, match="/nowhere"):
            run(command)

