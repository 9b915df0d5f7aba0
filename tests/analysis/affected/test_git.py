"""The files that have changed since a commit, by git."""

import os
import shutil
import subprocess

import pytest

from instrument.analysis.affected.git import Repository
from instrument.errors import DataError

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


def git(folder, *arguments):
    """Run git in *folder*, without the settings of this user."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    names = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    subprocess.run(["git", *names, *arguments], cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a repository with a commit of three files."""
    git(tmp_path, "init", "-q")
    for name in ("a.py", "b.py", "ä c.txt"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_all_kinds_of_changes(folder):
    """Changed, staged, renamed, removed, new and committed files are changes; ignored files are not."""
    repository = Repository(str(folder))
    first = repository.commit("HEAD")
    assert repository.changed_since(first) == set()
    (folder / "a.py").write_text("other\n")
    (folder / "b.py").rename(folder / "moved.py")
    (folder / "new.py").touch()
    (folder / "x.pyc").touch()
    git(folder, "add", "new.py")
    assert repository.changed_since(first) == {"a.py", "b.py", "moved.py", "new.py"}
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "two")
    assert repository.changed_since("HEAD") == set()
    (folder / "ä c.txt").unlink()
    assert repository.changed_since(first) == {"a.py", "b.py", "moved.py", "new.py", "ä c.txt"}
    assert repository.text(first, "a.py") == b"a.py\n"
    assert repository.text(first, "new.py") is None


def test_paths_start_from_the_top(folder):
    """A folder of the repository leads to all of it."""
    (folder / "inner").mkdir()
    (folder / "inner" / "c.py").touch()
    repository = Repository(str(folder / "inner"))
    assert os.path.samefile(repository.root, folder)
    assert repository.changed_since("HEAD") == {"inner/c.py"}
    assert repository.tracked() == {"a.py", "b.py", "ä c.txt", ".gitignore"}


def test_a_repository_within(folder):
    """Changes within another repository are not known file by file."""
    (folder / "inner").mkdir()
    git(folder / "inner", "init", "-q")
    (folder / "inner" / "c.py").touch()
    git(folder / "inner", "add", "-A")
    git(folder / "inner", "commit", "-q", "-m", "one")
    assert Repository(str(folder)).changed_since("HEAD") == {"inner/"}
    git(folder, "add", "inner")
    git(folder, "commit", "-q", "-m", "two")
    assert Repository(str(folder)).changed_since("HEAD") == set()
    (folder / "inner" / "c.py").write_text("x = 1")
    assert Repository(str(folder)).changed_since("HEAD") == {"inner/"}


def test_errors_say_the_reason(folder, tmp_path_factory, monkeypatch):
    """No repository, an unknown commit, and no git are named."""
    with pytest.raises(DataError, match="git knows no commit 'nowhere' in"):
        Repository(str(folder)).commit("nowhere")
    with pytest.raises(DataError, match="git knows no commit '--all' in"):
        Repository(str(folder)).commit("--all")
    with pytest.raises(DataError, match="not a git repository"):
        Repository(str(tmp_path_factory.mktemp("other")))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match="git is not installed"):
        Repository(str(folder))
