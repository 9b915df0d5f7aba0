"""Remarks: refused data files, and running processes without counts, are named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import process, write
from reporting import damage, measured, run
from reporting import in_own_folder as in_own_folder

from instrument.data.writer import Writer
from instrument.errors import DataError


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["report", "--missing"],
        ["report", "--unused-for", "1d"],
        ["report", "--json"],
        ["annotate"],
        ["combine", "--keep"],
        ["diff", ".instrument", ".instrument"],
    ],
)
def test_data_that_is_left_out_is_named(command, capsys):
    """Each command names each unreadable data file, with the reason, on one line of standard error."""
    measured("m.py", "x = 1\n", {1: 1})
    reasons = damage()
    assert run(*command) == 0
    errors = capsys.readouterr().err.splitlines()

    for name, reason in reasons.items():
        [line] = {line for line in errors if f"'.instrument/{name}.sqlite'" in line}
        assert line.startswith(f"Skipping data file '.instrument/{name}.sqlite': {reason}")
        assert "copy.sqlite" not in line
    if command[0] != "diff":
        assert "5 data files left out: these counts are incomplete" in errors


def test_data_that_is_left_out_is_named_even_if_no_file_is_left(capsys):
    """Patterns that match no file do not hide refused data files."""
    measured("m.py", "x = 1\n", {1: 1})
    damage()
    with pytest.raises(DataError, match="nothing is left to report"):
        run("report", "--include", "other.py")
    assert "cut.sqlite" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the environment of processes")
def test_a_running_process_without_counts_is_named(tmp_path, capsys):
    """Each command says that the counts of such a process are not included, and when it writes them."""
    key = measured("m.py", "x = 1\n", {1: 1})
    environment = {**os.environ, "INSTRUMENT": "1", "INSTRUMENT_DIR": str(tmp_path / ".instrument")}
    environment["INSTRUMENT_FLUSH"] = "0"
    code = "print(flush=True); input()"
    running = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        running.stdout.readline()
        said = f"Not in these counts: process {running.pid} ("
        folder = ".instrument"
        for command in (
            ["report"],
            ["report", "--json"],
            ["report", "--unused-for", "1d"],
            ["annotate"],
            ["diff", folder, folder],
            ["combine", "--keep"],
        ):
            run(*command)
            output = capsys.readouterr()
            assert said in output.err, command
            assert "is running, and writes only at its end" in output.err
            if "--json" in command:
                assert [each["pid"] for each in json.loads(output.out)["unwritten"]] == [running.pid]
            if "--unused-for" in command:
                assert "(Not certain: 1 running process wrote no counts yet.)" in output.out
        info = process("it")
        info.pid = running.pid
        Writer(".instrument", info).write({"lines": [(key, {1: (1, 1e9, 1e9)})]}, {}, "")
        run("report", "--unused-for", "1d")
        output = capsys.readouterr()
        assert said not in output.err
        assert f"(Not certain: process {running.pid} may be running. What it used after " in output.out
    finally:
        running.communicate("\n")


def test_hostile_names_are_shown_escaped(capsys):
    """No control character reaches the terminal, in tables, remarks or JSON."""
    name = "/src/\x1b]0;evil\x07\n\u202e.py"
    write(".instrument", "one", {(name, "sha256:\x1b[31m"): {1: 1}}, not_measured={name: "\x1b[31m"})
    for arguments in ([], ["--json"], ["--unused-for", "1s"]):
        run("report", *arguments)
        output = capsys.readouterr()
        assert all(text.replace("\n", "").isprintable() for text in output), arguments



def test_patterns_of_exclusion_without_a_match_are_named(capsys):
    """The message has the key and the pattern. A pattern that matches is not named."""
    measured("m.py", "x = 1\ny = 2  # skip\n", {1: 1})
    Path("pyproject.toml").write_text('[tool.instrument]\nexclude-also = ["# skip", "# skpi"]\n')
    run("report", "--only-imported")
    output = capsys.readouterr()

    assert output.out.splitlines()[2].split() == ["m.py", "1", "0", "100%", "1", "1:", "1"]
    assert output.err == (
        "[tool.instrument] of pyproject.toml, key 'exclude-also': '# skpi' matches no line of the reported files\n"
    )
