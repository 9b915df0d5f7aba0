"""The workflow of the README for GitHub Actions: its steps run in new clones of a repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from git_folders import ENVIRONMENT, commit, git, new_repository
from instrument_command import ROOT
from pytest_runs import Project

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the steps are for bash")

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOP = "def price(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"
TEST = "import shop\n\n\ndef test_price():\n    assert shop.price(500) > 0\n"


@pytest.fixture(scope="module")
def steps():
    """The steps of the workflow, each a dict."""
    [text] = re.findall(r"^```yaml\n(name: gate\n.*?)^```$", README, re.MULTILINE | re.DOTALL)
    workflow = yaml.safe_load(text)
    assert workflow.keys() == {"name", True, "permissions", "env", "jobs"}  # YAML 1.1 reads the key `on` as true
    assert workflow[True].keys() == {"push", "pull_request"}
    return workflow["jobs"]["gate"]["steps"]


class Runner:
    """Runs the steps of an event in new clones of the repository *origin*, as a machine of GitHub does."""

    def __init__(self, folder, steps):
        self.steps = steps
        self.project = Project(folder, {"shop.py": SHOP, "test_shop.py": TEST, ".gitignore": ".instrument\n__pycache__\n"})
        self.origin, self.cache, self.bin = self.project.folder, folder / "cache", folder / "bin"
        new_repository(self.origin)
        commit(self.origin, "Sell tea")
        self.bin.mkdir()
        for name, words in (("pytest", "-m pytest -p no:cacheprovider"), ("instrument", "-m instrument"), ("gh", "-c 'import sys; print(sys.argv[1:])'")):
            (self.bin / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
            (self.bin / name).chmod(0o755)

    def run(self, event, revision):
        """Run the steps of *event* in a clone at *revision*; return the folder, and the statuses of steps by their names."""
        clone = self.origin.parent / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        git(self.origin.parent, "clone", "-q", str(self.origin), str(clone))
        git(clone, "checkout", "-q", revision)
        variables = {"PATH": os.pathsep.join((str(self.bin), os.environ["PATH"])), "GITHUB_STEP_SUMMARY": str(clone / "summary"), "PYTHONHASHSEED": "0"}
        environment = self.project.environment(**variables, **ENVIRONMENT)
        statuses, output = {}, ""
        for step in self.steps:
            condition = step.get("if", "")
            other_event = {"push": "pull_request", "pull_request": "push"}[event]
            files = re.findall(r"hashFiles\('(.*)'\)", condition)
            if other_event in condition or not all((clone / name).exists() for name in files):
                continue
            if "cache/restore" in step.get("uses", "") and self.cache.exists():
                shutil.copytree(self.cache, clone / step["with"]["path"])
            elif "cache/save" in step.get("uses", ""):
                shutil.copytree(clone / step["with"]["path"], self.cache)
            elif "run" in step and not step["run"].startswith("pip install"):
                script = re.sub(r"\$\{\{.*?\}\}", "7", step["run"])
                done = subprocess.run(["bash", "-e", "-c", script], cwd=clone, env=environment, capture_output=True, text=True, timeout=100)
                statuses[step.get("name", step["run"])] = done.returncode
                output += done.stdout + done.stderr
        return SimpleNamespace(folder=clone, statuses=statuses, output=output)


def test_the_workflow_finds_growth_in_a_pull_request(steps, tmp_path):
    """A push to main keeps the data. Then a pull request that does more work fails, and one that does not passes."""
    runner = Runner(tmp_path, steps)
    pushed = runner.run("push", "main")
    assert pushed.statuses == {"pytest --instrument --instrument-contexts": 0, "Keep the data of main": 0}, pushed.output
    assert [path.name for path in runner.cache.iterdir()] == [f"{git(runner.origin, 'rev-parse', 'main')}.sqlite"]
    expected = {"slower": (2, "❌ "), "equal": (0, "✅ ")}
    for branch, source in (("slower", SHOP.replace("range(n)", "range(2 * n)")), ("equal", f"# A comment.\n{SHOP}")):
        git(runner.origin, "checkout", "-q", "-b", branch, "main")
        (runner.origin / "shop.py").write_text(source)
        commit(runner.origin, "Sell more tea")
        git(runner.origin, "checkout", "-q", "-b", f"merged-{branch}", "main")
        git(runner.origin, "merge", "-q", "--no-ff", "-m", "Merge", branch)
        done = runner.run("pull_request", f"origin/merged-{branch}")
        status, mark = expected[branch]
        assert done.statuses == {
            "pytest --instrument --instrument-contexts": 0,
            "Compare with the base branch": status,
            "Comment on the pull request": 0,
        }, done.output
        summary = (done.folder / "summary").read_text(encoding="utf-8")
        assert summary.startswith(f"### {mark}")
        assert summary == (done.folder / "gate.md").read_text(encoding="utf-8")
        assert "['pr', 'comment', '7', '--edit-last', '--create-if-none', '--body-file', 'gate.md']" in done.output
        results = json.loads((done.folder / "gate.sarif").read_text())["runs"][0]["results"]
        places = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results}
        assert places == ({"shop.py"} if status else set())


def test_the_actions_exist_in_a_version(steps):
    """Each has an owner, a name and a version. Steps have no keys that GitHub does not know."""
    for step in steps:
        assert step.keys() <= {"uses", "with", "run", "name", "if", "id", "env", "continue-on-error"}
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+(/[\w-]+)?@v\d+", step["uses"])
