"""Files that another user has made are not obeyed, and data is not written where another user could make files."""

import os
import shutil
import sqlite3
import stat
import tempfile

import pytest
from hostile import plant_journal

from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
from instrument.errors import DataError, DataGoneError

A = ("/src/a.py", "sha256:" + "a" * 64)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")


@pytest.fixture
def folder(tmp_path):
    """A folder that only this user can write to."""
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


@pytest.fixture
def writer(folder):
    """A writer that has written once."""
    writer = Writer(str(folder), ProcessInfo.current())
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    return writer


def count(path):
    """Return the count of line 1 in the data file at *path*."""
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        [[n]] = connection.execute("SELECT count FROM line").fetchall()
    finally:
        connection.close()
    return n


def test_sqlite_deletes_what_a_planted_journal_names(writer, tmp_path):
    """The attack: an ordinary connection obeys the journal, and no connection of this package may."""
    victim = tmp_path / "precious"
    victim.write_text("precious")
    plant_journal(writer.path, victim)
    connection = sqlite3.connect(writer.path)
    connection.execute("SELECT count(*) FROM line").fetchone()
    connection.close()
    if sqlite3.sqlite_version_info >= (3, 51):
        pytest.skip("this SQLite obeys no such journal")

    assert not victim.exists()


@pytest.mark.parametrize("shared", [False, True])
def test_a_planted_journal_is_not_obeyed(folder, tmp_path, shared):
    """The writer touches neither file nor journal, and writes all counts to another file."""
    writer = Writer(str(folder), ProcessInfo.current(), shared=shared)
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    if shared:
        folder.chmod(0o777)
    victim = tmp_path / "precious"
    victim.write_text("precious")
    old = writer.path
    journal = plant_journal(old, victim)
    with pytest.raises(DataGoneError, match="was not left by this process"):
        writer.write({"lines": [(A, {1: (2, 1.0, 2.0)})]}, {})
    writer.write({"lines": [(A, {1: (2, 1.0, 2.0)})]}, {})

    assert victim.read_text() == "precious"
    assert writer.path != old
    assert (count(old), count(writer.path)) == (1, 2)
    assert os.path.exists(journal)


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_no_file_beside_the_data_file_is_opened(writer, suffix):
    """SQLite would open journals of any kind; a pipe with such a name would block the process."""
    old = writer.path
    os.mkfifo(old + suffix)
    with pytest.raises(DataGoneError, match="was not left by this process"):
        writer.write({"lines": [(A, {1: (2, 1.0, 2.0)})]}, {})
    os.mkfifo(old.replace(".sqlite", ".998.sqlite") + suffix)
    writer.write({"lines": [(A, {1: (2, 1.0, 2.0)})]}, {})

    assert writer.path == old.replace(".sqlite", ".997.sqlite")
    assert (count(old), count(writer.path)) == (1, 2)


def test_a_link_in_place_of_the_file_is_not_followed(writer, tmp_path):
    """If the data file is replaced by a link to another database of this user, that database is not written."""
    other = tmp_path / "other.sqlite"
    os.rename(writer.path, other)
    os.symlink(other, writer.path)
    before = other.read_bytes()
    with pytest.raises(DataGoneError, match="it was replaced"):
        writer.write({"lines": [(A, {1: (2, 1.0, 2.0)})]}, {})
    writer.write({"lines": [(A, {1: (2, 1.0, 2.0)})]}, {})

    assert other.read_bytes() == before
    assert count(writer.path) == 2


def test_a_link_in_place_of_the_temporary_file_is_not_followed(folder, tmp_path):
    """Before the rename, the writer creates a new file, or none."""
    writer = Writer(str(folder), ProcessInfo.current())
    victim = tmp_path / "precious"
    victim.write_text("precious")
    os.symlink(victim, writer._temporary)
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})

    assert victim.read_text() == "precious"
    assert count(writer.path) == 1


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777, 0o2775])
def test_a_folder_that_others_can_write_to_is_refused(folder, mode):
    """Every write checks the folder; the message names the folder and the ways out."""
    folder.chmod(mode)
    writer = Writer(str(folder), ProcessInfo.current())
    words = "others can write to it.*chmod go-w.*INSTRUMENT_DIR.*INSTRUMENT_SHARED"
    with pytest.raises(DataError, match=words) as error:
        writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    assert repr(str(folder)) in str(error.value)
    assert os.listdir(folder) == []

    folder.chmod(0o700)
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    folder.chmod(mode)
    with pytest.raises(DataError, match=words):
        writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})
    folder.chmod(0o700)
    writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})

    assert count(writer.path) == 2


def test_a_shared_folder_is_allowed_if_the_settings_say_so(folder):
    """With `shared`, all users who can write to the folder are trusted."""
    folder.chmod(0o777)
    writer = Writer(str(folder), ProcessInfo.current(), shared=True)
    for n in (1, 2):
        writer.write({"lines": [(A, {1: (n, 1.0, 1.0)})]}, {})

    assert count(writer.path) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make others' files")
@pytest.mark.parametrize("what", ["folder", "link", "file"])
def test_folders_links_and_files_of_another_user_are_refused(folder, tmp_path, what):
    """A folder, a link to a folder, or a data file that another user has put there is not written to."""
    writer = Writer(str(folder), ProcessInfo.current())
    writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})
    words = "belongs to another user.*INSTRUMENT_DIR.*INSTRUMENT_SHARED"
    if what == "folder":
        os.chown(folder, 65533, -1)
    elif what == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
        writer.write({"lines": [(A, {1: (1, 1.0, 1.0)})]}, {})  # a link of this user's is followed
        os.chown(folder, 65533, -1, follow_symlinks=False)
    else:
        os.chown(writer.path, 65533, -1)
        words = "was replaced"
    with pytest.raises(DataError, match=words):
        writer.write({"lines": [(A, {1: (2, 1.0, 1.0)})]}, {})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_server_that_becomes_another_user_says_what_to_do():
    """If root has made the folder, one line says who owns it, and how to name another folder."""
    base = tempfile.mkdtemp()
    try:
        os.chmod(base, 0o755)
        Writer(f"{base}/data", ProcessInfo.current()).write({}, {})
        writer = Writer(f"{base}/data", ProcessInfo.current())
        os.seteuid(65533)
        try:
            words = "user 65533 cannot write to its folder; INSTRUMENT_DIR can name one"
            with pytest.raises(DataError, match=words):
                writer.write({}, {})
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(base)


def test_a_folder_above_that_anybody_can_write_to_is_refused(tmp_path):
    """In such a folder anybody could replace the data folder; with the sticky bit nobody can."""
    (tmp_path / "above").mkdir()
    (tmp_path / "above").chmod(0o777)
    writer = Writer(str(tmp_path / "above" / "data"), ProcessInfo.current())
    with pytest.raises(DataError, match=r"others can write to .*above', which it is in"):
        writer.write({}, {})
    (tmp_path / "above").chmod(0o1777)
    writer.write({}, {})


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_new_files_are_private(tmp_path, umask):
    """With any umask, other users can neither read nor write new folders and files."""
    writer = Writer(str(tmp_path / "new" / "data"), ProcessInfo.current())
    before = os.umask(umask)
    try:
        for n in (1, 2):
            writer.write({"lines": [(A, {1: (n, 1.0, 1.0)})]}, {})
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert modes.pop("data") == stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}


def test_a_new_folder_is_ignored_by_git(tmp_path):
    """A new folder `.instrument` has a `.gitignore`; a folder that existed, or has another name, gets none."""
    new, named, old = tmp_path / ".instrument", tmp_path / "named", tmp_path / "old" / ".instrument"
    old.mkdir(mode=0o700, parents=True)
    for folder in (new, named, old):
        Writer(str(folder), ProcessInfo.current()).write({}, {})

    assert (new / ".gitignore").read_text() == "*\n"
    assert not (named / ".gitignore").exists()
    assert not (old / ".gitignore").exists()
