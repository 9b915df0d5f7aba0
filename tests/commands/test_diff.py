"""`instrument diff`: the lines that ran between two moments."""

import json
from pathlib import Path

import pytest
from processes import A, B, Running, more, write
from reporting import in_own_folder as in_own_folder
from reporting import measured, run, table_rows
from reporting import shop as shop

from instrument.analysis.source_file import version_of
from instrument.errors import DataError


def test_a_diff_of_nothing_is_an_error(capsys):
    """If no file can be compared, the exit status is 1, and the output does not say that nothing ran."""
    write("a", "one", {A: {1: 5}})
    write("b", "one", {(A[0], "sha256:other"): {1: 6}})
    assert run("diff", "a", "b") == 1
    output = capsys.readouterr()
    assert output.out == "Nothing can be compared.\n"
    assert output.err.count("Not compared: '/src/a.py'") == 2
    assert run("diff", "a", "b", "--json") == 1

    write("same", "one", {A: {1: 5}})
    capsys.readouterr()
    assert run("diff", "a", "same") == 0
    assert capsys.readouterr().out == "Nothing ran.\n"
    with pytest.raises(DataError, match="nothing is left to compare"):
        run("diff", "a", "same", "--omit", "*")


def test_a_diff_finds_the_same_source_under_two_roots(tmp_path, capsys):
    """Data from a container can be compared with data from here."""
    source = "x = 1\n"
    Path("m.py").write_text(source)
    version = version_of(source.encode())
    write("a", "one", {("/app/m.py", version): {1: 2}})
    write("b", "two", {(str(tmp_path / "m.py"), version): {1: 5}, ("/ci/m.py", version): {1: 1}})
    assert run("diff", "a", "b") == 0
    output = capsys.readouterr()
    assert table_rows(output.out) == [["m.py", "1", "4", "1:", "4", "1"]]
    assert f"Same source: '/app/m.py' is '{tmp_path}/m.py' here" in output.err
    assert run("diff", "a", "b", "--json") == 0
    assert f"Same source: '/ci/m.py' is '{tmp_path}/m.py' here" in json.loads(capsys.readouterr().out)["remarks"]


def test_a_diff_names_files_that_ran_uncounted(capsys):
    """Uncounted code may have run between the two moments."""
    write("a", "one", {A: {1: 5}})
    write("b", "one", {A: {1: 6}}, not_measured={"/x.py": "why"})
    run("diff", "a", "b")
    assert "Not measured: '/x.py': why" in capsys.readouterr().err
    run("diff", "a", "b", "--json")
    assert json.loads(capsys.readouterr().out)["not_measured"] == [{"path": "/x.py", "reason": "why"}]


def test_a_version_that_only_the_later_data_has_is_compared(capsys):
    """B has all versions of A, and one of the edited source."""
    old = measured("m.py", "x = 1\n", {1: 1})
    new = old[0], version_of(b"x = 2\n")
    write("A", "one", {old: {1: 1}})
    write("B", "one", {old: {1: 1}})
    write("B", "two", {new: {1: 5}})

    assert run("diff", "A", "B") == 0
    assert "Nothing ran" not in capsys.readouterr().out
    assert run("diff", "--json", "A", "B") == 0
    hits = {file["version"]: file["hits"] for file in json.loads(capsys.readouterr().out)["files"]}
    assert hits == {old[1]: 0, new[1]: 5}


def test_a_diff_names_functions_that_may_have_run_elsewhere(shop, capsys):
    """Their uncounted runs are not in the difference."""
    write("b", "two", {shop: {1: 9}}, given_out=[(shop, "refund", 11, "cloudpickle"), (A, "f", 2, "dill")])
    run("diff", ".instrument", "b", "--omit", "/src/*")
    assert "got the code of 1 function, which may have run elsewhere, uncounted" in capsys.readouterr().err
    run("diff", ".instrument", "b", "--json")
    given_out = json.loads(capsys.readouterr().out)["given_out"]
    assert {(each["path"], each["version"]): each["functions"] for each in given_out} == {
        shop: [{"name": "refund", "line": 11, "to": ["cloudpickle"]}],
        A: [{"name": "f", "line": 2, "to": ["dill"]}],
    }


def test_diff_shows_what_ran_in_between(capsys):
    """The counts of B less those of A, by line; files and lines that did not run are left out."""
    write("a", "one", {A: {1: 5, 2: 1, 3: 1}, B: {1: 1}})
    write("b", "one", {A: {1: 9, 2: 1, 3: 2, 4: 7}, B: {1: 1}})
    assert run("diff", "a", "b") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["File", "Lines", "that", "ran", "Hits", "Hottest", "line"],
        ["-" * 45],
        ["/src/a.py", "3", "12", "4:", "7", "1,", "3-4"],
        ["-" * 45],
        ["Total", "3", "12"],
    ]
    run("diff", "a", "b", "--json")
    both = json.loads(capsys.readouterr().out)["files"]
    assert [file["lines"] for file in both] == [{"1": 4, "3": 1, "4": 7}, {}]


def test_diff_names_what_cannot_be_compared(capsys):
    """Another version, and a line that ran less often, are named and not counted."""
    write("a", "one", {A: {1: 5}, B: {1: 1}})
    write("b", "one", {A: {1: 3}, (B[0], "sha256:other"): {1: 100}})
    assert run("diff", "a", "b") == 1
    output = capsys.readouterr()
    assert output.out == "Nothing can be compared.\n"
    assert "Not counted: '/src/a.py': lines 1 have smaller counts in B" in output.err
    assert output.err.count("Not compared: '/src/b.py'") == 2


def test_snapshots_of_one_process_can_be_compared(capsys):
    """Two copies of the file of a running process are two states of it."""
    import shutil

    with Running() as pid:
        writer = write("data", "one", {A: {1: 5}}, pid=pid, ended="")
        shutil.copytree("data", "before")
        more(writer, {A: {1: 8}}, ended="")
        run("diff", "before", "data")
    assert "/src/a.py" in capsys.readouterr().out

