"""`instrument gate` finds the kept data of revisions."""

import json
import re
import shutil

import pytest
from gate_programs import tree_of
from git_folders import commit, git, new_repository
from instrument_command import run_instrument

BASE = "def work(n):\n    for i in range(n):\n        pass\ndef test_work():\n    work(300)\n"
HEAD = BASE.replace("300", "400")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository whose commits have the tags v1, v2 and v3; the data of v1 and v3 are kept, and those of v3 are there."""
    folder = tmp_path_factory.mktemp("revisions")
    new_repository(folder)
    (folder / ".gitignore").write_text("data\n.instrument\n")
    for tag, source in (("v1", BASE), ("v2", BASE), ("v3", HEAD)):
        tree = tree_of(folder, f"# {tag}\n{source}")
        commit(folder, f"Commit {tag}")
        git(folder, "tag", tag)
        if tag != "v2":
            finished = run_instrument(folder, "keep", "data")
            assert finished.status == 0, finished.err
        if tag != "v3":
            shutil.rmtree(tree.data)
    for path in tree.data.iterdir():
        shutil.copy(path, folder / ".instrument") if path.is_file() else shutil.copytree(path, folder / ".instrument" / path.name)
    return folder


def document_of(folder, *arguments, status):
    finished = run_instrument(folder, "gate", *arguments, "--format", "json")
    assert finished.status == status, finished.err
    return json.loads(finished.out)


@pytest.mark.parametrize("arguments", [("v1", "v3"), ("v1",), ("main~2", "main"), ("v1", ".instrument"), (".instrument/revisions/{v1}.sqlite", "HEAD")])
def test_revisions_and_paths_name_the_same_runs(arguments, made):
    """Without HEAD the data folder is the run in question."""
    commit_of_v1 = git(made, "rev-parse", "v1")
    document = document_of(made, *(each.replace("{v1}", commit_of_v1) for each in arguments), status=2)
    assert [each["subject"] for each in document["failures"]] == ["total", "test"]
    assert document["causes"][0]["function"]["name"] == "work"
    assert document["causes"][0]["times"] == {"before": 300, "after": 400}


def test_kept_data_need_no_repository(made, tmp_path):
    """The id of a commit is enough, or its start."""
    shutil.copytree(made / ".instrument", tmp_path / ".instrument")
    ids = [git(made, "rev-parse", tag) for tag in ("v1", "v3")]
    variables = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    for one, other in (ids, [each[:8] for each in ids]):
        assert run_instrument(tmp_path, "gate", one, other, **variables).status == 2
    finished = run_instrument(tmp_path, "gate", "main", **variables)
    assert finished.status == 1
    assert "there are no data at 'main', and git cannot read" in finished.err


def test_a_path_may_have_the_name_of_a_revision(made):
    """The path is taken if it has data, and the message says so. `v1~0` and `./v1` are names of one of the two only."""
    (made / "v1").mkdir()
    try:
        remark = "BASE: 'v1' is a path and a revision of git, and the path has no data; those of the revision are compared"
        assert remark in document_of(made, "v1", status=2)["remarks"]
        finished = run_instrument(made, "gate", "v1", "--dir", "nowhere")
        assert re.search(r"BASE: no data are kept of v1 .*, and the path has no data\n", finished.err)
        (made / "v2").mkdir()
        assert "BASE: no data are kept of v2" in run_instrument(made, "gate", "v2").err
        shutil.copytree(made / ".instrument", made / "v1", dirs_exist_ok=True)
        remark = "BASE: 'v1' is a path and a revision of git; the data at the path are compared. v1~0 names the revision"
        document = document_of(made, "v1", status=0)
        assert remark in document["remarks"]
        assert document["total"]["before"] == document["total"]["after"]
        assert remark not in document_of(made, "./v1", status=0)["remarks"]
        assert remark not in document_of(made, "v1~0", status=2)["remarks"]
    finally:
        shutil.rmtree(made / "v1")
        shutil.rmtree(made / "v2", ignore_errors=True)


def test_a_revision_without_data_is_an_error_with_a_way_out(made):
    """The message names the revisions with data, and the option that takes an earlier one."""
    ids = {tag: git(made, "rev-parse", tag)[:10] for tag in ("v1", "v2", "v3")}
    finished = run_instrument(made, "gate", "v2")
    assert finished.status == 1
    assert re.fullmatch(
        rf"instrument: BASE: no data are kept of v2 \({ids['v2']}\) in '\.instrument/revisions'; data are kept of "
        rf"({ids['v1']}, {ids['v3']}|{ids['v3']}, {ids['v1']})\. --nearest takes those of {ids['v1']}, which is before it\. Or "
        r"check it out, run its tests by `pytest --instrument --instrument-contexts`, and say `instrument keep`\n",
        finished.err,
    )
    finished = run_instrument(made, "gate", "v2", "--dir", "nowhere")
    assert "none are kept of any revision. To make some, check it out, run its tests" in finished.err
    finished = run_instrument(made, "gate", "v1", "v9")
    assert "HEAD: there are no data at 'v9', and git knows no revision 'v9'; name a data file" in finished.err


def test_the_nearest_earlier_data_are_named(made):
    """They are taken only if the user says so."""
    document = document_of(made, "v2", "--nearest", status=2)
    ids = [git(made, "rev-parse", tag)[:10] for tag in ("v1", "v2")]
    remark = f"BASE: no data are kept of v2 ({ids[1]}); the data are those of the commit {ids[0]} before it (Commit v1)"
    assert remark in document["remarks"]
    finished = run_instrument(made, "gate", "v2", "--nearest", "--dir", "nowhere")
    assert finished.status == 1
    assert "BASE: no data are kept of v2" in finished.err
