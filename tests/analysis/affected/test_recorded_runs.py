"""The record of a test run: it is read as it was written, and damage is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.affected import recorded_runs
from instrument.analysis.affected.recorded_runs import ProjectState, RecordedRun
from instrument.errors import DataError

texts = st.text(max_size=8)
states = st.builds(
    ProjectState,
    texts,
    texts,
    st.dictionaries(texts, st.none() | texts, max_size=3),
    st.dictionaries(texts, st.binary(max_size=8), max_size=3),
    texts,
)
runs = st.builds(
    RecordedRun,
    texts,
    texts,
    states,
    st.lists(texts, max_size=3),
    st.dictionaries(texts, texts, max_size=3),
    st.dictionaries(texts, texts, max_size=3),
    st.lists(st.lists(texts, max_size=3), max_size=3),
    st.floats(0, 1e10),
)


@given(runs)
def test_a_record_is_read_as_it_was_written(tmp_path_factory, run):
    """All fields come back."""
    folder = tmp_path_factory.mktemp("data")
    recorded_runs.write(run, str(folder), "one")
    assert recorded_runs.read_all([str(folder)]) == [run]
    assert recorded_runs.read_all([str(folder / "some.sqlite")]) == [run]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 0}, "is of another version of instrument"),
        ({"outcomes": {"a": 1}}, "is damaged: TypeError"),
        ({"other": 1}, "is damaged: TypeError"),
        ({"ended": "now"}, "is damaged: TypeError"),
        (None, "is damaged: JSONDecodeError"),
    ],
)
def test_damage_is_named(tmp_path, change, reason):
    """The message has the file and the reason."""
    recorded_runs.write(RecordedRun("/p", "3", ProjectState("/p", "", {}, {}), [], {}, {}, [], 0.0), str(tmp_path), "one")
    [file] = tmp_path.iterdir()
    text = file.read_text()
    file.write_text("{" if change is None else json.dumps({**json.loads(text), **change}))
    with pytest.raises(DataError, match=f"one.tests' {reason}"):
        recorded_runs.read_all([str(tmp_path)])


@pytest.mark.parametrize(
    ("path", "is_written"),
    [("a/__pycache__/b.pyc", True), (".pytest_cache/v/x", True), ("a.pyo", True), ("cache/a.py", False)],
)
def test_files_that_runs_write(path, is_written):
    """Bytecode and caches of test tools are no sources."""
    assert recorded_runs.is_written_by_runs(path) is is_written


def test_hashes(tmp_path):
    """The hash tells contents and modes apart, and a link from its target; a folder and a missing file have none."""
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    (tmp_path / "c").write_text("2")
    (tmp_path / "link").symlink_to("a")
    a, b, c, link = (recorded_runs.hash_of(str(tmp_path / name)) for name in ("a", "b", "c", "link"))
    assert a == b
    assert len({a, c, link, None}) == 4
    (tmp_path / "b").chmod(0o755)
    assert recorded_runs.hash_of(str(tmp_path / "b")) != a
    assert recorded_runs.hash_of(str(tmp_path)) is None
    assert recorded_runs.hash_of(str(tmp_path / "d")) is None


def test_the_latest_record_is_the_last(tmp_path):
    """The name of a file begins with the number of a process, which says nothing about the time."""
    for name, ended in (("9", 2.0), ("10", 3.0), ("8", 4.0), ("7", 1.0)):
        run = RecordedRun("/p", "3", ProjectState("/p", "", {}, {}), [], {}, {}, [], ended)
        recorded_runs.write(run, str(tmp_path), name)
    assert [run.ended for run in recorded_runs.read_all([str(tmp_path)])] == [1.0, 2.0, 3.0, 4.0]
