"""The distribution has a name that is free on PyPI, a licence, and gives the command and the package their names."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_name_is_not_that_of_another_project():
    """`instrument` is another project's name on PyPI: an upgrade by that name would replace this package."""
    project = PROJECT["project"]

    assert project["name"] == "instrument-counts"
    assert project["scripts"] == {"instrument": "instrument.cli:main"}


def test_no_text_says_to_install_the_other_project():
    """Every `pip install` in README and in messages installs this project or something else by its own name."""
    texts = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "instrument").rglob("*.py")]

    for path in texts:
        for command in re.findall(r"pip install ([^&|;\n]*)", path.read_text(encoding="utf-8")):
            assert not re.search(r"(?<![\w./-])instrument(?![\w-])", command), f"{path}: {command}"


def test_the_license_is_there():
    """The file that the project names is in the package and says what the project says."""
    project = PROJECT["project"]

    assert project["license"] == "MIT"
    for name in project["license-files"]:
        assert (ROOT / name).read_text(encoding="utf-8").startswith("MIT License")
        assert name.startswith("instrument/")


def blocks():
    """Return the blocks of code in README, in order."""
    return re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_readme_shows_what_its_commands_print(tmp_path):
    """The first program, its report, and the drop-in for trace: copied out of README, run, and compared with it."""
    shop, count = (next(block for block in blocks() if start in block) for start in ("def price", "as trace"))
    session, listing = (next(block for block in blocks() if start in block) for start in ("run shop.py", "    1: def"))
    (tmp_path / "shop.py").write_text(shop, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT_", "COLUMNS"))}
    environment = {**kept, "PYTHONPATH": str(ROOT)}

    def printed(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=True
        ).stdout

    shown = []
    for line in re.findall(r"^\$ instrument (.*)$", session, re.MULTILINE):
        shown += [f"$ instrument {line}\n", printed("-m", "instrument", *line.split())]
    since = re.compile(r"since [-0-9: ]+")
    assert since.sub("", "".join(shown)) == since.sub("", session)
    assert "--missing" in session

    (tmp_path / "count.py").write_text(count, encoding="utf-8")
    printed("count.py")
    made = (tmp_path / "counts" / "shop.cover").read_text(encoding="utf-8")
    made = "".join(line.rstrip() + "\n" for line in made.splitlines())
    assert made.startswith(listing)


def test_commands_to_copy_are_single_lines():
    """Those to try it and to set up the tests work word for word, so each is alone in its block."""
    commands = [block for block in blocks() if block.startswith("python -m venv")]

    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
