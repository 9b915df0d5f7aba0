"""`instrument keep` keeps the data of a revision, lists and removes kept data."""

import os
from pathlib import Path

import pytest
from git_folders import commit, git, new_repository
from processes import counts, files, write
from reporting import in_own_folder as in_own_folder
from reporting import measured, run

from instrument.analysis.affected import recorded_runs
from instrument.analysis.affected.recorded_runs import ProjectState, RecordedRun
from instrument.analysis.source_file import version_of
from instrument.errors import DataError

KEPT = Path(".instrument/revisions")


@pytest.fixture
def head():
    """The id of the commit of `shop.py` and `.gitignore` in the working directory, where `shop.py` ran."""
    new_repository(Path())
    Path(".gitignore").write_text(".instrument\n")
    measured("shop.py", "x = 1\n", {1: 1})
    return commit(Path(), "Sell tea")


def test_data_are_kept_under_the_commit(head, capsys):
    """In one file, with all counts. The data themselves stay."""
    before = files(".instrument")
    key = (os.path.abspath("shop.py"), version_of(b"x = 1\n"))
    write(".instrument", "other", {key: {1: 10}})
    assert run("gating.keep") == 0
    path = KEPT / f"{head}.sqlite"
    assert counts(path) == {key: {1: 11}}
    assert [name for name in files(".instrument") if name in before] == before
    assert capsys.readouterr().err == f"Kept the data of {head[:10]} (Sell tea), 2 processes, in {path}\n"


def test_kept_data_survive_other_commands(head):
    """`erase` and `combine` leave them. Reports do not add them to the counts."""
    run("gating.keep")
    kept = (KEPT / f"{head}.sqlite").read_bytes()
    run("combine")
    assert counts(".instrument/combined.sqlite") == counts(KEPT / f"{head}.sqlite")
    run("erase")
    assert files(".instrument") == ["revisions"]
    assert (KEPT / f"{head}.sqlite").read_bytes() == kept


def test_data_of_a_revision_are_replaced(head, capsys):
    """They are not added up: the counts are those of one run."""
    run("gating.keep")
    run("erase", "--force")
    key = measured("shop.py", "x = 1\n", {1: 5})
    run("gating.keep")
    assert counts(KEPT / f"{head}.sqlite") == {key: {1: 5}}
    assert f"Replaced the data of {head[:10]} (Sell tea), 1 process" in capsys.readouterr().err


def test_data_of_other_sources_are_refused(head):
    """Each source that differs is named with the reason. The option --as keeps the data all the same."""
    measured("shop.py", "x = 2\n", {1: 1})
    measured("new.py", "x = 1\n", {1: 1})
    message = rf"not those of the commit {head[:10]}: new\.py: the commit does not have it; shop\.py: it differs .* by --as"
    with pytest.raises(DataError, match=message):
        run("gating.keep")
    assert not KEPT.exists()
    run("gating.keep", "--as", "main")
    assert [path.name for path in KEPT.iterdir()] == [f"{head}.sqlite"]


def test_data_of_another_folder_are_kept_for_another_revision(head):
    """--dir says where."""
    key = (os.path.abspath("shop.py"), version_of(b"x = 1\n"))
    write("elsewhere", "one", {key: {1: 3}})
    git(".", "tag", "v1")
    commit(Path(), "Later")
    run("gating.keep", "elsewhere", "--as", "v1", "--dir", "kept")
    assert counts(f"kept/revisions/{head}.sqlite") == {key: {1: 3}}


def record(name, tests, ended):
    """Save a record of a test run that ran *tests*, in the data folder."""
    state = ProjectState("/p", "", {}, {})
    recorded_runs.write(RecordedRun("/p", "3", state, [], {}, dict.fromkeys(tests, "passed"), [], ended), ".instrument", name)


def test_data_of_affected_tests_are_named(head, capsys):
    """Their counts are added to those of an earlier run, so they are no run of all tests."""
    record("one", ["a", "b", "c"], 1.0)
    run("gating.keep")
    assert capsys.readouterr().err.startswith("Kept the data of")
    record("two", ["b"], 2.0)
    run("gating.keep")
    words = "the data have the counts of 2 test runs, added up; the last ran 1 of 3 tests, as with --instrument-affected."
    assert capsys.readouterr().err.startswith(f"instrument: {words} A gate needs those of one run of all tests: ")
    record("three", ["a", "b", "c"], 3.0)
    run("gating.keep")
    assert capsys.readouterr().err.startswith("instrument: the data have the counts of 3 test runs, added up. A gate needs")
    Path(".instrument/four.tests").write_text("damaged")
    run("gating.keep")
    assert capsys.readouterr().err.startswith("Replaced the data of")


def test_kept_data_are_listed_from_the_latest(head, capsys):
    """With the titles of the commits, as far as the repository has them. At first there is nothing to list."""
    run("gating.keep", "--list")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "No data are kept in .instrument/revisions; `instrument keep` keeps those of the current commit\n")
    run("gating.keep")
    os.utime(KEPT / f"{head}.sqlite", (1, 1))
    (KEPT / f"{'a' * 40}.sqlite").write_bytes(b"12345")
    capsys.readouterr()
    run("gating.keep", "--list")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0], row[3], row[4:]) for row in rows] == [
        ("a" * 10, "5", []),
        (head[:10], f"{(KEPT / f'{head}.sqlite').stat().st_size}", ["Sell", "tea"]),
    ]


def test_kept_data_are_removed_by_revision(head, capsys):
    """A branch, or the start of an id that the repository lacks. A revision may be named twice. All have data, or none is removed."""
    run("gating.keep")
    (KEPT / f"{'a' * 40}.sqlite").write_bytes(b"")
    with pytest.raises(DataError, match="no data are kept of 'nothing'; `instrument keep --list` names the revisions"):
        run("gating.keep", "--erase", "main", "--erase", "nothing")
    assert len([*KEPT.iterdir()]) == 2
    capsys.readouterr()
    run("gating.keep", "--erase", "main", "--erase", "aaaaaaa", "--erase", "HEAD")
    assert not KEPT.exists()
    assert capsys.readouterr().err == f"Removed the data of {head[:10]}\nRemoved the data of aaaaaaaaaa\n"


def test_the_oldest_data_are_removed_if_there_are_too_many(head):
    """--most keeps the latest, the new data among them."""
    KEPT.mkdir(parents=True)
    for n, letter in enumerate("abc"):
        (KEPT / f"{letter * 40}.sqlite").write_bytes(b"")
        os.utime(KEPT / f"{letter * 40}.sqlite", (n, n))
    run("gating.keep", "--most", "2")
    assert {path.name for path in KEPT.iterdir()} == {f"{head}.sqlite", f"{'c' * 40}.sqlite"}


def test_errors_name_the_way_out(tmp_path, monkeypatch):
    """Without a repository, without a commit, without such a revision, without data."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    measured("shop.py", "x = 1\n", {1: 1})
    with pytest.raises(DataError, match="not a git repository"):
        run("gating.keep")
    new_repository(Path())
    with pytest.raises(DataError, match="the repository has no commit yet; commit the sources, and run the tests again"):
        run("gating.keep")
    commit(Path())
    with pytest.raises(DataError, match="git knows no revision 'v9'; name a branch, a tag or a commit"):
        run("gating.keep", "--as", "v9")
    run("erase", "--force")
    for more in ((), ("--as", "main")):
        with pytest.raises(DataError, match="no data"):
            run("gating.keep", *more)
    assert not list(KEPT.glob("*"))
