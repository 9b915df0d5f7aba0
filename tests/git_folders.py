"""Makes git repositories for tests, whatever the configuration of the user and of the machine says."""

import os
import subprocess

#: No configuration of the machine has an effect.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder, *words):
    """Return the output of git, called in *folder*."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | ENVIRONMENT
    done = subprocess.run(["git", "-C", str(folder), *words], env=variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def new_repository(folder):
    """Make *folder* a repository without a commit, on the branch main."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")


def commit(folder, message="A change"):
    """Commit all files in *folder* that are not ignored; return the id."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")
