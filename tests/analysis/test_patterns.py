"""Patterns of files: the paths that they match, and the remarks if they match nothing."""

from pathlib import Path

import pytest
from processes import write
from reporting import in_own_folder as in_own_folder
from reporting import measured, run, scoped, table_rows
from reporting import project as project

from instrument.analysis.patterns import FilePatterns, shown
from instrument.errors import DataError
from instrument.report.text import number_of


def test_patterns_may_be_separated_by_commas_and_completed_by_shells(project, capsys):
    """A pattern that matches no file is named."""
    scoped("one", ["main.py", "src/other.py", "tests/test_pkg.py", "src/pkg/used.py"], None)

    def reported(*arguments):
        run("report", *arguments)
        output = capsys.readouterr()
        errors = [line for line in output.err.splitlines() if line.startswith("--")]
        return [row[0] for row in table_rows(output.out)], errors

    assert reported("--omit", "src/*,tests/*") == (["main.py"], [])
    assert reported("--omit", "./tests", "--omit", "src/") == (["main.py"], [])
    assert reported("--include", "./src", "--omit", f"{project}/src/pkg") == (["src/other.py"], [])
    assert reported("--include", "main.py", "--omit", "test,nothing/*") == (
        ["main.py"],
        ["--omit 'test' matches no file in these data", "--omit 'nothing/*' matches no file in these data"],
    )
    run("diff", ".instrument", ".instrument", "--omit", "nothing")
    assert "--omit 'nothing' matches no file" in capsys.readouterr().err
    run("annotate", "-d", "covers", "--include", "main.py,nothing")
    assert "--include 'nothing' matches no file" in capsys.readouterr().err


def test_a_pattern_that_leaves_folders_out_is_corrected(project, capsys):
    """If a pattern matches with any folders in front of it, the message says so."""
    scoped("one", ["src/pkg/used.py"], None)
    with pytest.raises(DataError):
        run("report", "--only-imported", "--include", "used.py")
    error = capsys.readouterr().err
    assert error == (
        "--include 'used.py' matches no file in these data; a pattern is for the whole path: '*/used.py' matches\n"
    )
    run("report", "--only-imported", "--include", "*/used.py", "--omit", "other.py")
    assert capsys.readouterr().err == "--omit 'other.py' matches no file in these data\n"


def test_a_file_with_the_characters_of_a_pattern_can_be_named(capsys):
    """A pattern that equals the name of a file matches that file."""
    measured("[id].py", "x = 1\n", {1: 1})
    measured("other.py", "x = 1\n", {1: 1})
    run("report", "--include", "[id].py")
    output = capsys.readouterr()
    assert [row[0] for row in table_rows(output.out)] == ["[id].py"]
    assert "matches no file" not in output.err


def test_messages_name_the_origin_of_a_pattern(capsys):
    """An option is named only if the command line has it; else pyproject.toml is."""
    from instrument.cli import _execute

    measured("m.py", "x = 1\n", {1: 1})
    Path("pyproject.toml").write_text('[tool.instrument]\ninclude = ["nothing"]\n')
    for command in ("report", "annotate"):
        assert _execute(command, []) == 1
        error = capsys.readouterr().err
        assert "[tool.instrument] of pyproject.toml, key 'include': " in error
        assert "--include" not in error
        assert _execute(command, ["--include", "other"]) == 1
        error = capsys.readouterr().err
        assert ": the patterns are --include 'other'" in error
        assert "pyproject" not in error


def test_patterns_choose_files(capsys, tmp_path):
    """A pattern matches the whole path, the path as shown, or a folder of it."""
    write(".instrument", "one", {(str(tmp_path / "a" / "x.py"), "v"): {1: 1}, (str(tmp_path / "b.py"), "v"): {1: 1}})

    def reported(*arguments):
        run("report", *arguments)
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:-3]]

    assert reported() == ["a/x.py", "b.py"]
    assert reported("--include", "a/*") == reported("--include", "a") == reported("--omit", "b.py") == ["a/x.py"]
    assert reported("--include", f"{tmp_path}/*", "--omit", "*x.py") == ["b.py"]
    with pytest.raises(DataError, match="nothing is left"):
        run("report", "--include", "nothing")


def test_texts_are_shown_on_one_line():
    """Characters that are not printable are shown as escapes."""
    assert shown("ä\x1b\n\u202e\ud800\\") == "ä\\x1b\\n\\u202e\\ud800\\"
    assert (number_of(1, "process"), number_of(2, "process"), number_of(0, "file")) == (
        "1 process",
        "2 processes",
        "0 files",
    )
    assert FilePatterns().match("/a/b.py")
    assert not FilePatterns(["/a/c*"]).match("/a/b.py")

