"""Folders that another user could have made are recognised, and files of any user are read without harm."""

import os
import socket
import threading

import pytest

from instrument.guest.trusted_files import objection_to_folder, read_regular

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make others'")
OTHER = 65533


@pytest.fixture
def inner(tmp_path):
    """Return a folder two levels below the folder of the test; this user owns all of them."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for folder in (tmp_path / "outer", tmp_path / "outer" / "inner"):
        folder.chmod(0o755)
    return tmp_path / "outer" / "inner"


@pytest.mark.slow
def test_a_folder_that_only_this_user_can_write_to_is_trusted(inner, monkeypatch):
    """The path may be relative, have dots in it, lead through links of this user, or be the root."""
    (inner.parent / "link").symlink_to("inner/../inner")
    (inner.parent / "absolute").symlink_to(inner)
    monkeypatch.chdir(inner)
    for folder in (str(inner), ".", "../inner/", f"{inner.parent}/link", f"{inner.parent}/absolute", "/"):
        assert objection_to_folder(folder) == "", folder


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_trusted(inner, mode):
    """The sticky bit of the folder itself does not help: other users can make files in it."""
    inner.chmod(mode)
    assert objection_to_folder(str(inner)) == "others can write to it"
    assert objection_to_folder(str(inner), lenient=True) == "others can write to it"


@pytest.mark.parametrize(
    ("mode", "strictly", "leniently"), [(0o775, True, False), (0o757, True, True), (0o1777, False, False)]
)
def test_a_folder_above_must_not_let_others_replace_the_folder(inner, mode, strictly, leniently):
    """The sticky bit prevents that. If lenient, the members of a group may be able to."""
    inner.parent.chmod(mode)
    words = f"others can write to {str(inner.parent)!r}, which it is in"
    assert objection_to_folder(str(inner)) == (words if strictly else "")
    assert objection_to_folder(str(inner), lenient=True) == (words if leniently else "")


def test_a_folder_above_a_link_must_not_let_others_replace_the_link(inner, tmp_path):
    """They would decide where it leads."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "link").symlink_to(inner)
    assert "open', which it is in" in objection_to_folder(str(tmp_path / "open" / "link"))


@needs_root
def test_folders_and_links_of_other_users_are_not_trusted(inner):
    """The owner of a folder, of a folder above, or of a link can change it at any time."""
    link = inner.parent / "link"
    link.symlink_to(inner)
    os.chown(link, OTHER, -1, follow_symlinks=False)
    assert objection_to_folder(str(link)) == f"{str(link)!r} is a link that belongs to another user"
    os.chown(inner, OTHER, -1)
    assert objection_to_folder(str(inner)).startswith(f"it belongs to another user ({OTHER}; this process is of user")
    os.chown(inner, 0, -1)
    os.chown(inner.parent, OTHER, -1)
    words = f"{str(inner.parent)!r}, which it is in, belongs to another user"
    assert objection_to_folder(str(inner)) == words
    assert objection_to_folder(str(inner), lenient=True) == ""


def test_a_missing_folder_is_an_error(inner):
    """So are links that lead in a circle."""
    with pytest.raises(FileNotFoundError):
        objection_to_folder(str(inner / "nowhere"))
    (inner / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="leads through more than 40 links"):
        objection_to_folder(str(inner / "circle"))


def test_a_regular_file_is_read(tmp_path):
    """A file with more bytes than allowed is an error."""
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    assert read_regular(str(tmp_path / "file"), 3_000_000) == b"x" * 3_000_000
    with pytest.raises(ValueError, match="it is too large, with more than 2999999 bytes"):
        read_regular(str(tmp_path / "file"), 2_999_999)


def test_special_files_are_not_opened(tmp_path):
    """A pipe would make the reader wait, and a device would fill its memory."""
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "socket"))
    with server:
        for path in (tmp_path / "pipe", tmp_path / "socket", "/dev/zero"):
            with pytest.raises(ValueError, match="it is no file"):
                read_regular(str(path), 100)
    with pytest.raises(IsADirectoryError):
        read_regular(str(tmp_path), 100)


def test_a_pipe_that_replaces_the_file_is_not_waited_for(tmp_path, monkeypatch):
    """A file may be replaced between the check of its kind and the opening."""
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    from instrument.guest import trusted_files

    class Exchanged:
        open, read, close, fstat = os.open, os.read, os.close, os.fstat

        @staticmethod
        def stat(path):
            return os.stat(tmp_path / "file")

    monkeypatch.setattr(trusted_files, "_system", Exchanged)
    found = []

    def read():
        with pytest.raises(ValueError, match="no file"):
            read_regular(str(tmp_path / "pipe"), 9)
        found.append(True)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert found
