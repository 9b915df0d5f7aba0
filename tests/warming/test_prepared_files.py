"""The record of prepared files forgets a file that changes, and is kept from one process to the next."""

import os

import pytest

from instrument.flow.placement_names import MINIMAL
from instrument.link.cache import Cache
from instrument.warming import prepared_files
from instrument.warming.prepared_files import PreparedFiles


@pytest.fixture
def cache(tmp_path):
    """A cache in a folder of its own."""
    return Cache(MINIMAL, str(tmp_path / "cache"))


def test_a_file_is_ready_until_it_changes(cache, tmp_path):
    """Time or size tell. A file that is gone needs no preparation."""
    path = tmp_path / "a.py"
    path.write_text("x = 1")
    record = PreparedFiles(cache)
    assert (record.is_ready(str(path)), record.size(str(path)), record.imports_of(str(path))) == (False, 5, None)
    record.note(str(path))
    record.note_imports(str(path), iter([("os", "/os.py")]))
    assert record.is_ready(str(path))
    record.save()
    record = PreparedFiles(cache)
    assert (record.is_ready(str(path)), record.imports_of(str(path))) == (True, [("os", "/os.py")])

    for change in (lambda: os.utime(path, (1, 1)), lambda: path.write_text("x = 10")):
        change()
        record = PreparedFiles(cache)
        assert (record.is_ready(str(path)), record.imports_of(str(path))) == (False, None)
    path.unlink()
    record = PreparedFiles(cache)
    assert (record.is_ready(str(path)), record.imports_of(str(path))) == (True, None)


def test_a_file_that_changes_meanwhile_is_not_ready(cache, tmp_path):
    """The stamp is that from before the file was prepared."""
    path = tmp_path / "a.py"
    path.write_text("x = 1")
    record = PreparedFiles(cache)
    assert not record.is_ready(str(path))
    path.write_text("x = 1_000")
    record.note(str(path))
    record.save()

    assert not PreparedFiles(cache).is_ready(str(path))


def test_two_processes_add_to_the_record(cache, tmp_path, monkeypatch):
    """Each keeps the files of the other; a record that is too large begins anew."""
    for name in "abc":
        (tmp_path / name).write_text(name)
    paths = [str(tmp_path / name) for name in "abc"]
    one, other = PreparedFiles(cache), PreparedFiles(cache)
    one.note(paths[0])
    other.note(paths[1])
    one.save()
    other.save()
    assert [PreparedFiles(cache).is_ready(path) for path in paths] == [True, True, False]

    monkeypatch.setattr(prepared_files, "_MOST_FILES", 1)
    one.note(paths[2])
    one.save()
    assert [PreparedFiles(cache).is_ready(path) for path in paths] == [False, False, True]
