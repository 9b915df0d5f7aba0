"""What another user could have made is known as such, and what anybody may have made is read without harm."""

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
    """A folder in one that is in another, all of this user."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for folder in (tmp_path / "outer", tmp_path / "outer" / "inner"):
        folder.chmod(0o755)
    return tmp_path / "outer" / "inner"


def test_what_only_this_user_can_write_to_is_trusted(inner, monkeypatch):
    """Whatever the path is like: relative, with dots, through links of this user, the root itself."""
    (inner.parent / "link").symlink_to("inner/../inner")
    (inner.parent / "absolute").symlink_to(inner)
    monkeypatch.chdir(inner)
    for folder in (str(inner), ".", "../inner/", f"{inner.parent}/link", f"{inner.parent}/absolute", "/"):
        assert objection_to_folder(folder) == "", folder


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_what_others_can_write_to_is_not(inner, mode):
    """The sticky bit of the folder itself does not help: others could make files in it."""
    inner.chmod(mode)
    assert objection_to_folder(str(inner)) == "others can write to it"
    assert objection_to_folder(str(inner), lenient=True) == "others can write to it"


@pytest.mark.parametrize(
    ("mode", "strictly", "leniently"), [(0o775, True, False), (0o757, True, True), (0o1777, False, False)]
)
def test_a_folder_above_counts(inner, mode, strictly, leniently):
    """Others could exchange the folder, but for the sticky bit; in one of a group that may be of no concern."""
    inner.parent.chmod(mode)
    words = f"others can write to {str(inner.parent)!r}, which it is in"
    assert objection_to_folder(str(inner)) == (words if strictly else "")
    assert objection_to_folder(str(inner), lenient=True) == (words if leniently else "")


def test_a_folder_above_a_link_counts(inner, tmp_path):
    """Whoever can exchange the link decides where it leads."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "link").symlink_to(inner)
    assert "open', which it is in" in objection_to_folder(str(tmp_path / "open" / "link"))


@needs_root
def test_others_own_what_they_can_change(inner):
    """The owner of a folder, of one above, or of a link can do with it as they please."""
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


def test_what_is_not_there_is_an_error(inner):
    """So are links that lead in a circle."""
    with pytest.raises(FileNotFoundError):
        objection_to_folder(str(inner / "nowhere"))
    (inner / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="leads through more than 40 links"):
        objection_to_folder(str(inner / "circle"))


def test_a_regular_file_is_read(tmp_path):
    """All of it, up to the bound."""
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    assert read_regular(str(tmp_path / "file"), 3_000_000) == b"x" * 3_000_000
    with pytest.raises(ValueError, match="it is too large, with more than 2999999 bytes"):
        read_regular(str(tmp_path / "file"), 2_999_999)


def test_nothing_else_is_opened(tmp_path):
    """Neither does a pipe hold the reader up, nor does a device fill its memory."""
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "socket"))
    with server:
        for path in (tmp_path / "pipe", tmp_path / "socket", "/dev/zero"):
            with pytest.raises(ValueError, match="it is no file"):
                read_regular(str(path), 100)
    with pytest.raises(IsADirectoryError):
        read_regular(str(tmp_path), 100)


def test_a_pipe_that_comes_between_is_not_waited_for(tmp_path, monkeypatch):
    """What was a file when it was looked at may be a pipe when it is opened."""
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
