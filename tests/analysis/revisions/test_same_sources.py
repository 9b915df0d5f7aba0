"""Which sources that ran differ from the commit."""

import pytest
from git_folders import commit, new_repository

from instrument.analysis.revisions.git import Repository
from instrument.analysis.revisions.same_sources import other_sources
from instrument.analysis.source_file import version_of


@pytest.fixture
def folder(tmp_path):
    """A repository with two modules, in a folder with other files."""
    folder = tmp_path / "repository"
    new_repository(folder)
    for name in ("a.py", "sub/b.py", ".gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("ignored.py\n")
    commit(folder)
    (folder / "ignored.py").write_text("x = 1\n")
    (tmp_path / "outside.py").write_text("x = 1\n")
    return folder


def key(path):
    return str(path), version_of(path.read_bytes())


def keys(folder):
    return [key(path) for path in (folder / "a.py", folder / "sub" / "b.py", folder / "ignored.py", folder.parent / "outside.py")]


def test_sources_of_the_commit_are_the_same(folder):
    """So are ignored files and files outside of the repository, whatever they contain."""
    ran = keys(folder)
    assert other_sources(ran, Repository(str(folder))) == {}
    (folder / "ignored.py").write_text("x = 2\n")
    (folder.parent / "outside.py").unlink()
    assert other_sources(ran, Repository(str(folder / "sub"))) == {}


def test_other_sources_are_named_with_the_reason(folder):
    """A change that is not committed, a new file, and a version that ran and is not there any more."""
    (folder / "new.py").write_text("x = 1\n")
    (folder / "sub" / "b.py").write_text("y = 1\n")
    ran = [(str(folder / "a.py"), version_of(b"x = 0\n")), key(folder / "new.py"), key(folder / "sub" / "b.py")]
    assert other_sources(ran, Repository(str(folder))) == {
        "a.py": "another version of it ran",
        "new.py": "the commit does not have it",
        "sub/b.py": "it differs from the commit",
    }


def test_a_link_to_a_source_is_the_source(folder):
    """The measured path may lead through a link."""
    (folder.parent / "link").symlink_to(folder)
    (folder / "a.py").write_text("x = 1\n")
    assert other_sources([key(folder.parent / "link" / "a.py")], Repository(str(folder))) == {"a.py": "it differs from the commit"}
