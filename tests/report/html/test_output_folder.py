"""The folder of a report: exchanged as a whole, and never at the cost of the user's files."""

import os
from pathlib import Path

import pytest
from reporting import in_own_folder as in_own_folder

from instrument.errors import DataError
from instrument.report.html.output_folder import MARKER, OutputFolder


def write(path, files):
    with OutputFolder(path) as folder:
        for name, text in files.items():
            folder.write(name, text)


def content(path):
    """Return the texts of the files in the folder *path*, without the marker."""
    return {file.name: file.read_text() for file in Path(path).iterdir() if file.name not in (MARKER, ".gitignore")}


def test_a_new_report_replaces_the_old_one():
    """Files of the old report that the new one lacks are gone, and git ignores the folder."""
    write("deep/er/pages", {"index.html": "one", "a.html": "a"})
    assert content("deep/er/pages") == {"index.html": "one", "a.html": "a"}
    write("deep/er/pages", {"index.html": "two"})
    assert content("deep/er/pages") == {"index.html": "two"}
    assert Path("deep/er/pages/.gitignore").read_text().splitlines()[-1] == "*"
    assert os.listdir("deep/er") == ["pages"]


def test_a_report_that_fails_leaves_the_old_one():
    """Nothing of the new report stays, not even beside the folder."""
    write("pages", {"index.html": "one"})
    with pytest.raises(ZeroDivisionError), OutputFolder("pages") as folder:
        folder.write("index.html", "two")
        folder.write("a.html", f"{1 // 0}")
    assert content("pages") == {"index.html": "one"}
    assert os.listdir() == ["pages"]


def test_an_exchange_that_fails_leaves_the_old_one(monkeypatch):
    """If the new folder cannot get the name, the old one gets it back."""
    write("pages", {"index.html": "one"})
    rename = os.rename

    def fail(source, target):
        if target.endswith("pages") and source.endswith(".tmp"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(DataError, match=r"cannot be written to 'pages': Input/output error"):
        write("pages", {"index.html": "two"})
    assert content("pages") == {"index.html": "one"}
    assert os.listdir() == ["pages"]


def test_an_empty_folder_is_taken():
    """The user may have made it for the report."""
    os.mkdir("pages")
    write("pages", {"index.html": "one"})
    assert content("pages") == {"index.html": "one"}


@pytest.mark.parametrize("marker", [None, "", "[]", "{}", '{"files": 1}', '{"files": [[]]}', "\udcff"])
def test_a_folder_of_the_user_is_refused(marker):
    """Without a marker, or with a marker that names no files, nothing is touched."""
    os.mkdir("pages")
    Path("pages/index.html").write_text("mine")
    if marker is not None:
        Path("pages", MARKER).write_text(marker, errors="surrogateescape")
    with pytest.raises(DataError, match=r"'pages' has files that are not of a report, such as '[.i]"):
        write("pages", {"index.html": "one"})
    assert Path("pages/index.html").read_text() == "mine"


def test_a_file_of_the_user_among_pages_is_kept():
    """The marker has the names of the report's files, so a new file is noticed, also while pages are written."""
    write("pages", {"index.html": "one"})
    Path("pages/notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"such as 'notes\.txt': move them, or name another folder with -o"):
        write("pages", {"index.html": "two"})
    os.rename("pages/notes.txt", "notes.txt")
    with pytest.raises(DataError, match=r"such as 'notes.txt'"), OutputFolder("pages") as folder:
        folder.write("index.html", "two")
        os.rename("notes.txt", "pages/notes.txt")
    assert content("pages") == {"index.html": "one", "notes.txt": "mine"}
    assert os.listdir() == ["pages"]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="the system has no symbolic links")
def test_a_link_to_a_folder_stays_a_link():
    """The folder that the link leads to gets the report."""
    os.mkdir("real")
    os.symlink("real", "pages")
    write("pages", {"index.html": "one"})
    assert os.path.islink("pages")
    assert content("real") == {"index.html": "one"}


def test_a_file_in_the_way_is_named():
    """The message says why there is no report."""
    Path("pages").write_text("mine")
    with pytest.raises(DataError, match=r"cannot be written to 'pages': it is no folder"):
        write("pages", {})
    with pytest.raises(DataError, match=r"cannot be written to 'pages/inner': it is no folder"):
        write("pages/inner", {})
    assert Path("pages").read_text() == "mine"


def test_texts_that_utf8_lacks_are_escaped():
    """A source with an odd coding may have surrogates."""
    write("pages", {"index.html": "\ud800"})
    assert content("pages") == {"index.html": "\\ud800"}
