"""A file that is replaced has its old or its new content, whatever fails, and no other file stays behind."""

import os

import pytest

from instrument.guest.atomic_files import create_beside, remove_file, replace_file, write_all, write_file


def test_the_content_is_replaced_and_no_other_file_stays(tmp_path):
    """The file is new or replaces an old one, and its mode is the one asked for."""
    path = tmp_path / "file"
    for content in (b"first", b"x" * 3_000_000, b""):
        write_file(str(path), content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_that_is_as_long_as_names_can_be(tmp_path):
    """The name of the temporary file is not made from the name of the file."""
    path = tmp_path / ("x" * 255)
    write_file(str(path), b"content")
    assert path.read_bytes() == b"content"


def test_a_path_in_the_current_folder(tmp_path, monkeypatch):
    """A path without a folder means the current one."""
    monkeypatch.chdir(tmp_path)
    write_file("file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_nothing_changes_if_the_writing_fails(tmp_path, error):
    """The error is raised, the file has its old content, and the descriptor is closed."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    descriptors = []

    def fail(descriptor, temporary):
        descriptors.append(descriptor)
        assert os.path.dirname(temporary) == str(tmp_path)
        write_all(descriptor, b"half")
        raise error

    with pytest.raises(type(error)):
        replace_file(str(path), fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])


def test_nothing_stays_behind_if_the_renaming_fails(tmp_path):
    """A folder cannot be replaced by a file."""
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError):
        write_file(str(tmp_path / "folder"), b"content")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_writers_the_first_wins_if_the_existing_file_is_kept(tmp_path, monkeypatch, has_links):
    """Where there are no hard links, the last one wins."""
    path = tmp_path / "file"
    if not has_links:
        from instrument.guest import atomic_files

        def link(*_):
            raise PermissionError("no links")

        monkeypatch.setattr(atomic_files._system, "link", link)
    for content in (b"first", b"second"):
        write_file(str(path), content, keep_existing=True)
    assert path.read_bytes() == (b"first" if has_links else b"second")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_at_the_path_is_replaced_and_not_followed(tmp_path):
    """The file that the link leads to is unchanged."""
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("target")
    write_file(str(tmp_path / "link"), b"content")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert (tmp_path / "link").read_bytes() == b"content"
    assert not (tmp_path / "link").is_symlink()


def test_removing_says_whether_there_was_a_file(tmp_path):
    """A file that is not there is no error."""
    descriptor, path = create_beside(str(tmp_path / "file"))
    os.close(descriptor)
    assert (remove_file(path), remove_file(path)) == (True, False)
