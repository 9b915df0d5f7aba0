"""Questions about a git repository."""

import pytest
from git_folders import commit, git, new_repository

from instrument.analysis.revisions.git import Repository
from instrument.errors import NoRepositoryError


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
        files = repository.files()
        assert repository.root == str(folder.resolve())
        assert files.tracked == {".gitignore", "kept.py", "sub/changed.py", "staged.py"}
        assert files.changed == {"sub/changed.py", "staged.py"}
        assert files.untracked == {"sub/new ä.py"}


def test_errors_say_why_there_is_no_repository(tmp_path, monkeypatch):
    """The folder is in none; or there is no git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NoRepositoryError, match=r"git cannot read '.*': fatal: not a git repository"):
        Repository(str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoRepositoryError, match=r"git cannot be started: .*; install it"):
        Repository(str(tmp_path))
