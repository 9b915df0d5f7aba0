"""Tests of instrument/diagnosis/obstacles.py: the reasons why counts are not saved."""

import os

import pytest

from instrument.diagnosis.interpreters import BOOTSTRAP
from instrument.diagnosis.obstacles import has_bootstrap, why_not_saved


@pytest.mark.skipif(os.name != "posix", reason="folders have no owners and modes")
def test_a_missing_folder_is_judged_by_the_folders_above(tmp_path):
    """The process creates it for this user alone. Others can do harm only if they can replace a folder above it."""
    parent = tmp_path / "parent"
    parent.mkdir()
    parent.chmod(0o777)

    assert why_not_saved(str(parent), shared=False) == "others can write to it (INSTRUMENT_SHARED=1 allows that)"
    assert why_not_saved(str(parent), shared=True) == ""
    assert why_not_saved(str(parent / "new"), shared=False) == ""

    (parent / "inner").mkdir()
    reason = why_not_saved(str(parent / "inner" / "new"), shared=False)
    assert reason == f"others can write to {str(parent)!r}, which it is in (INSTRUMENT_SHARED=1 allows that)"


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    """So is a file in place of a folder above."""
    (tmp_path / "file").touch()

    for path in (tmp_path / "file", tmp_path / "file" / "inner"):
        assert why_not_saved(str(path), shared=False) == f"{tmp_path / 'file'} is no folder"


def test_the_stand_in_for_a_start_up_file_is_found_in_the_environment(tmp_path):
    """Its folder is an entry of PYTHONPATH; another folder of that name is none."""
    (tmp_path / "bootstrap").mkdir()

    assert has_bootstrap({"PYTHONPATH": os.pathsep.join(["/elsewhere", BOOTSTRAP])})
    assert not has_bootstrap({"PYTHONPATH": str(tmp_path / "bootstrap")})
    assert not has_bootstrap({})
