"""The folder with the kept data of revisions."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.revisions.kept_data import KeptData

ONE, OTHER, THIRD = "1" * 40, "12" * 20, "3" * 64


@pytest.fixture
def kept(tmp_path):
    """Kept data of three commits, from the latest: THIRD, ONE and OTHER; and files that are none."""
    folder = tmp_path / "revisions"
    folder.mkdir()
    for moment, name in enumerate((OTHER, ONE, THIRD)):
        (folder / f"{name}.sqlite").write_bytes(b"x" * (moment + 1))
        os.utime(folder / f"{name}.sqlite", (moment, moment))
    for name in ("main.sqlite", f"{ONE}.tmp", f"{ONE[:-1]}.sqlite", f".{ONE}.sqlite"):
        (folder / name).touch()
    return KeptData(str(tmp_path))


def test_all_kept_data_are_listed_from_the_latest(kept):
    """With their sizes and moments; other files are not listed."""
    assert [each[:1] + each[2:] for each in kept.all()] == [(THIRD, 3, 2.0), (ONE, 2, 1.0), (OTHER, 1, 0.0)]
    assert [each.path for each in kept.all()] == [kept.path_of(each.commit) for each in kept.all()]


def test_a_folder_without_kept_data_is_empty(tmp_path):
    """There may be no folder, or a file in its place."""
    assert KeptData(str(tmp_path)).all() == []
    (tmp_path / "revisions").touch()
    assert KeptData(str(tmp_path)).all() == []


@given(st.sampled_from([ONE, OTHER, THIRD]), st.integers(0, 64))
def test_the_start_of_an_id_names_one_commit(tmp_path_factory, commit, n):
    """It has 7 characters or more, and no other id begins so."""
    kept = KeptData(str(tmp_path_factory.getbasetemp() / "ids"))
    os.makedirs(kept.folder, exist_ok=True)
    for each in (ONE, OTHER, THIRD):
        open(kept.path_of(each), "a").close()
    assert kept.commit_of(commit[:n]) == (commit if n >= 7 else None)
    assert kept.commit_of(commit[:n] + "x") is None


def test_an_ambiguous_start_names_no_commit(tmp_path):
    """Two ids begin so."""
    kept = KeptData(str(tmp_path))
    os.makedirs(kept.folder)
    for each in (ONE, "1" * 39 + "2"):
        open(kept.path_of(each), "w").close()
    assert kept.commit_of("1" * 39) is None
    assert kept.commit_of(ONE) == ONE


def test_the_first_commit_with_data_is_found(kept):
    """Of a history, in its order."""
    assert kept.first_of(["9" * 40, OTHER, ONE]) == OTHER
    assert kept.first_of(["9" * 40]) is None


def test_the_folder_is_removed_with_its_last_data(tmp_path, kept):
    """Data that are not there cannot be removed."""
    kept.remove(ONE)
    assert [each.commit for each in kept.all()] == [THIRD, OTHER]
    with pytest.raises(FileNotFoundError):
        kept.remove(ONE)
    single = KeptData(str(tmp_path / "single"))
    os.makedirs(single.folder)
    open(single.path_of(ONE), "w").close()
    single.remove(ONE)
    assert not os.path.exists(single.folder)
