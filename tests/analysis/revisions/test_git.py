"""Questions about a git repository."""

import os

import pytest
from git_folders import commit, git, new_repository

from instrument.analysis.revisions.git import Repository
from instrument.errors import DataError, NoRepositoryError


@pytest.fixture
def folder(tmp_path):
    """A repository with two commits: `kept.py`, and then `sub/changed.py`; `*.log` is ignored."""
    new_repository(tmp_path)
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "kept.py").write_text("x = 1\n")
    commit(tmp_path, "First")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "changed.py").write_text("y = 1\n")
    commit(tmp_path, "Second\n\nMore words.")
    git(tmp_path, "tag", "-a", "v1", "-m", "A tag")
    return tmp_path


def test_a_revision_is_a_branch_a_tag_or_a_commit(folder):
    """All of them name a commit. Other names do not, nor does a text that looks like an option."""
    head = git(folder, "rev-parse", "HEAD")
    repository = Repository(str(folder))
    assert {repository.commit_of(name) for name in ("main", "HEAD", "v1", head, head[:8])} == {head}
    assert repository.commit_of("HEAD~1") == git(folder, "rev-parse", "HEAD~1")
    assert {repository.commit_of(name) for name in ("nothing", "--all", "", "HEAD:kept.py", "HEAD~9", "main..v1")} == {None}
    assert repository.title_of(head) == "Second"
    assert repository.title_of("0" * 40) == ""


def test_the_history_of_a_commit_begins_with_it(folder):
    """The latest is the first."""
    commits = git(folder, "rev-list", "HEAD").split()
    assert [*Repository(str(folder)).history_of("HEAD")] == commits
    assert [*Repository(str(folder)).history_of(commits[1])] == commits[1:]


def test_files_are_tracked_changed_or_untracked(folder):
    """Ignored ones are none of these. Paths are relative to the root, wherever the question was asked."""
    (folder / "sub" / "changed.py").write_text("y = 2\n")
    (folder / "sub" / "new ä.py").write_text("")
    (folder / "staged.py").write_text("")
    (folder / "some.log").write_text("")
    git(folder, "add", "staged.py")
    for place in (folder, folder / "sub"):
        repository = Repository(str(place))
        assert repository.root == str(folder.resolve())
        assert repository.tracked() == {".gitignore", "kept.py", "sub/changed.py", "staged.py"}
        assert repository.untracked() == {"sub/new ä.py"}
        assert repository.changed_since("HEAD") == {"sub/changed.py", "staged.py", "sub/new ä.py"}


@pytest.fixture
def changing(tmp_path):
    """A repository with a commit of four files; `*.pyc` is ignored."""
    new_repository(tmp_path)
    for name in ("a.py", "b.py", "ä c.txt"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    commit(tmp_path)
    return tmp_path


def test_all_kinds_of_changes(changing):
    """Changed, staged, renamed, removed, new and committed files are changes; ignored files are not."""
    repository = Repository(str(changing))
    first = repository.commit("HEAD")
    assert repository.changed_since(first) == set()
    (changing / "a.py").write_text("other\n")
    (changing / "b.py").rename(changing / "moved.py")
    (changing / "new.py").touch()
    (changing / "x.pyc").touch()
    git(changing, "add", "new.py")
    assert repository.changed_since(first) == {"a.py", "b.py", "moved.py", "new.py"}
    commit(changing, "two")
    assert repository.changed_since("HEAD") == set()
    (changing / "ä c.txt").unlink()
    assert repository.changed_since(first) == {"a.py", "b.py", "moved.py", "new.py", "ä c.txt"}
    assert repository.text(first, "a.py") == b"a.py\n"
    assert repository.text(first, "new.py") is None


def test_paths_start_from_the_top(changing):
    """A folder of the repository leads to all of it."""
    (changing / "inner").mkdir()
    (changing / "inner" / "c.py").touch()
    repository = Repository(str(changing / "inner"))
    assert os.path.samefile(repository.root, changing)
    assert repository.changed_since("HEAD") == {"inner/c.py"}
    assert repository.tracked() == {"a.py", "b.py", "ä c.txt", ".gitignore"}


def test_a_repository_within(changing):
    """Changes within another repository are not known file by file."""
    new_repository(changing / "inner")
    (changing / "inner" / "c.py").touch()
    commit(changing / "inner")
    assert Repository(str(changing)).changed_since("HEAD") == {"inner/"}
    commit(changing)
    assert Repository(str(changing)).changed_since("HEAD") == set()
    (changing / "inner" / "c.py").write_text("x = 1")
    assert Repository(str(changing)).changed_since("HEAD") == {"inner/"}


def test_an_unknown_commit_is_named(folder):
    """Nor is an option of git a commit."""
    for name in ("nowhere", "--all"):
        with pytest.raises(DataError, match=f"git knows no commit '{name}' in .*; a shallow clone has only some"):
            Repository(str(folder)).commit(name)


def test_errors_say_why_there_is_no_repository(tmp_path, monkeypatch):
    """The folder is in none; or there is no git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NoRepositoryError, match=r"git cannot read '.*': fatal: not a git repository"):
        Repository(str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRepositoryError, match=r"git cannot be started: .*; install it"):
        Repository(str(tmp_path))
