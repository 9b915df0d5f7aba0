"""The commands that write exports: their options, their files, standard output, and real data."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from coverage.numbits import numbits_to_nums
from exporting import HOSTILE
from lxml import etree
from processes import write
from reporting import SHOP_COUNTS, measured, run, scoped
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument import cli
from instrument.commands.exports import _base
from instrument.errors import DataError
from instrument.report.exports import json_export

#: The commands, each with the file that it writes by default.
COMMANDS = {
    "lcov": "lcov.info",
    "xml": "coverage.xml",
    "json": "instrument.json",
    "callgrind": "callgrind.out.instrument",
    "coverage": ".coverage.instrument",
}
#: The commands that write text.
OF_TEXT = [command for command in COMMANDS if command != "coverage"]
#: The commands that have a unit.
OF_UNIT = ["lcov", "xml", "callgrind"]


def export(command, *arguments):
    """Run the *command* of this folder as the command line does, and return its exit status."""
    return run(f"exports.{command}", *arguments)


def counts_in(command, data):
    """Return the counts of lines in *data*, the export of one file by *command*; without counts, 1 for each line."""
    if command == "lcov":
        fields = [line[3:].split(b",") for line in data.splitlines() if line.startswith(b"DA:")]
        return {int(line): int(count) for line, count in fields if int(count)}
    if command == "xml":
        lines = etree.fromstring(data).findall(".//class/lines/line")
        return {int(line.get("number")): int(line.get("hits")) for line in lines if line.get("hits") != "0"}
    if command == "json":
        [file] = json.loads(data)["files"]
        return {int(line): each["count"] for line, each in file["lines"].items()}
    if command == "callgrind":
        return {int(line.split()[0]): int(line.split()[1]) for line in data.splitlines() if line[:1].isdigit()}
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    [[numbits]] = connection.execute("SELECT numbits FROM line_bits")
    connection.close()
    return dict.fromkeys(numbits_to_nums(numbits), 1)


def test_the_commands_are_those_of_the_command_line():
    """Each is listed, and leads to a module of this folder."""
    assert COMMANDS.keys() <= {name for name in cli.COMMANDS if cli._FOLDERS.get(name) == "exports"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_writes_its_file(command, shop, capsys):
    """It has the counts of the data, and the rights of other files that the user makes."""
    assert export(command) == 0
    captured = capsys.readouterr()
    path = Path(COMMANDS[command])
    Path("other").touch()

    assert captured.out == ""
    assert f"{path} written: " in captured.err
    expected = SHOP_COUNTS if command != "coverage" else dict.fromkeys(SHOP_COUNTS, 1)
    assert counts_in(command, path.read_bytes()) == expected
    assert path.stat().st_mode == Path("other").stat().st_mode
    assert sorted(os.listdir()) == sorted([".instrument", "other", "shop.py", str(path)])


@pytest.mark.parametrize("command", OF_TEXT)
def test_a_dash_is_standard_output(command, shop, capsysbinary):
    """It gets the same as a file, and no message. No file is written."""
    assert export(command, "-o", "-") == 0
    captured = capsysbinary.readouterr()

    assert counts_in(command, captured.out) == SHOP_COUNTS
    assert b"written" not in captured.err
    assert sorted(os.listdir()) == [".instrument", "shop.py"]


def test_a_data_file_of_coverage_does_not_go_to_standard_output(shop):
    """It is a database."""
    with pytest.raises(DataError, match="name a file with --output"):
        export("coverage", "-o", "-")


@pytest.mark.parametrize("count", [2**31, 2**53 + 1, 2**63 - 1])
@pytest.mark.parametrize("command", OF_TEXT)
def test_great_counts_are_exact_or_clipped(command, count, capsysbinary):
    """--max-count clips them."""
    measured("m.py", "x = 1\ny = 2\n", {1: count, 2: 7})
    assert export(command, "-o", "-") == 0
    assert counts_in(command, capsysbinary.readouterr().out) == {1: count, 2: 7}

    assert export(command, "-o", "-", "--max-count", 2**31 - 1) == 0
    assert counts_in(command, capsysbinary.readouterr().out) == {1: 2**31 - 1, 2: 7}


@pytest.mark.parametrize("text", ["0", "-1", "", "1.5", "many", "\u0661"])
def test_impossible_greatest_counts_are_refused(text, shop, capsys):
    """The message has the text."""
    with pytest.raises(SystemExit):
        export("lcov", f"--max-count={text}")

    assert f"{text!r} is no whole number from 1 on" in capsys.readouterr().err


@pytest.mark.parametrize("command", OF_UNIT)
def test_executions_that_are_not_known_are_refused(command, shop, capsysbinary):
    """By default, or on request, the unit is events, and the output names it."""
    with pytest.raises(DataError, match=r"executions are not known of 'shop\.py'"):
        export(command, "--unit", "executions")
    assert not Path(COMMANDS[command]).exists()
    outputs = []
    for options in ([], ["--unit", "events"]):
        assert export(command, "-o", "-", *options) == 0
        outputs.append(capsysbinary.readouterr().out)

    assert all(b"events" in output for output in outputs)


@pytest.mark.parametrize("command", COMMANDS)
def test_patterns_choose_the_files(command, shop, capsys):
    """--include, --omit, paths and --dir have the effect that they have on `report`."""
    measured("other.py", "x = 1\n", {1: 1})
    assert export(command, "--include", "shop*", "--dir", ".instrument", "-o", "one") == 0
    assert export(command, "--omit", "other*", ".instrument", "-o", "two") == 0

    first, second = (counts_in(command, Path(name).read_bytes()) for name in ("one", "two"))
    assert first == second
    assert first.keys() == SHOP_COUNTS.keys()
    with pytest.raises(DataError, match=r"there is nothing to write: .*--include 'nothing\*'"):
        export(command, "--include", "nothing*")
    assert "matches no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", OF_UNIT + ["coverage"])
def test_sources_that_have_changed_are_left_out_and_named(command, shop, capsys):
    """Without any other source, nothing is written."""
    Path("shop.py").write_text("pass\n")
    with pytest.raises(DataError, match="no source file is the version that was measured"):
        export(command)

    assert "Stale source: " in capsys.readouterr().err
    assert not Path(COMMANDS[command]).exists()


def test_the_schema_is_printed_without_data(capsys):
    """It needs no counts, and no file is written."""
    assert export("json", "--schema") == 0

    assert json.loads(capsys.readouterr().out) == json.loads(json_export.schema_text())
    assert os.listdir() == []


def test_json_has_sources_that_have_changed(shop, capsysbinary):
    """It says that their state is stale."""
    Path("shop.py").write_text("pass\n")
    assert export("json", "-o", "-") == 0

    [file] = json.loads(capsysbinary.readouterr().out)["files"]
    assert file["source"] == "stale"


def test_files_that_were_never_imported_have_counts_of_0(capsysbinary):
    """--only-imported leaves them out."""
    Path("main.py").write_text("x = 1\n")
    Path("never.py").write_text("y = 1\n")
    scoped("one", ["main.py"], str(Path.cwd()))
    assert export("lcov", "-o", "-") == 0
    assert b"SF:never.py\nFNF:0\nFNH:0\nBRF:0\nBRH:0\nDA:1,0\n" in capsysbinary.readouterr().out
    assert export("lcov", "-o", "-", "--only-imported") == 0
    assert b"never.py" not in capsysbinary.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_is_complete_or_unchanged(command, shop, monkeypatch):
    """If writing fails in the middle, the earlier file stays, and no other is left behind."""
    path = Path(COMMANDS[command])
    path.write_text("earlier")
    before = sorted(os.listdir())

    def fail(descriptor, data):
        os.write(descriptor, data[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_base, "write_all", fail)
    with pytest.raises(DataError, match="cannot be written: No space left on device; name another file"):
        export(command)

    assert path.read_text() == "earlier"
    assert sorted(os.listdir()) == before


def test_an_interrupt_leaves_no_part_of_a_file(shop, monkeypatch):
    """The same holds for exceptions of any kind."""

    def interrupt(descriptor, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(_base, "write_all", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export("lcov")

    assert sorted(os.listdir()) == [".instrument", "shop.py"]


def test_only_regular_files_are_replaced(shop):
    """A folder and a pipe stay as they are, and a message names the way out. A link is replaced, not its target."""
    os.mkdir("folder")
    os.mkfifo("pipe")
    Path("target").write_text("precious")
    os.symlink("target", "link")
    for path, words in (("folder", "a folder"), ("pipe", "no regular file"), ("no/such.info", "No such file")):
        with pytest.raises(DataError, match=rf"'{path}' cannot be written: .*{words}"):
            export("lcov", "-o", path)
    assert export("lcov", "-o", "link") == 0

    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert Path("target").read_text() == "precious"
    assert not Path("link").is_symlink()


@pytest.mark.parametrize("command", COMMANDS)
def test_python_source_is_never_overwritten(command, shop):
    """A user may leave out FILE in `-o FILE shop.py`."""
    before = Path("shop.py").read_bytes()
    with pytest.raises(DataError, match=r"'shop.py' is not written: its name is that of Python source; name another"):
        export(command, "-o", "shop.py")

    assert Path("shop.py").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="file names can hold less elsewhere")
@pytest.mark.parametrize("command", COMMANDS)
def test_hostile_names_make_no_other_output(command, capsysbinary, tmp_path):
    """Names of files and functions from data files end up in no line, element or record of their own."""
    for n, text in enumerate(HOSTILE):
        name = "".join(character for character in text if character not in "/\0" and not "\ud800" <= character <= "\udfff")
        key = measured(f"{name[:60]}{n}.py", "def f():\n    x = 1\n", {1: 1, 2: 2})
        write(".instrument", f"hostile{n}", {}, functions=[(key, {(text, 1): (1, 1.0, 1.0)})])
    write(".instrument", "outside", {(f"{tmp_path}/../../../etc/passwd", "sha256:" + "0" * 64): {1: 1}})
    output = "x" if command == "coverage" else "-"
    assert export(command, "-o", output) == 0
    captured = capsysbinary.readouterr()

    assert all(character.isprintable() or character == "\n" for character in captured.err.decode())
    if command == "coverage":
        connection = sqlite3.connect("x")
        assert {os.path.dirname(path) for (path,) in connection.execute("SELECT path FROM file")} == {str(tmp_path)}
        connection.close()
        return
    text = captured.out.decode()
    assert all(character.isprintable() or character == "\n" for character in text)
    if command == "lcov":
        assert text.count("\nSF:") == text.count("\nend_of_record") == len(HOSTILE)
        assert "\nSF:/etc" not in text
    elif command == "xml":
        root = etree.fromstring(captured.out)
        assert len(root.findall(".//class")) == len(HOSTILE)
        assert root.getroottree().docinfo.doctype == ""
    elif command == "callgrind":
        assert text.count("\nfl=") == len(HOSTILE)
    else:
        assert len(json.loads(text)["files"]) == len(HOSTILE) + 1


def test_real_counts_are_exported(tmp_path, capsysbinary):
    """A program that is run has the same counts in each format as in the report."""
    Path("real.py").write_text("def f(n):\n    for _ in range(n):\n        pass\n    return n\n\n\nf(41)\n")
    subprocess.run([sys.executable, "-m", "instrument", "run", "-q", "real.py"], check=True, env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])})
    for command in OF_TEXT:
        assert export(command, "-o", "-") == 0
        assert counts_in(command, capsysbinary.readouterr().out) == {1: 1, 2: 42, 3: 41, 4: 1, 7: 1}
