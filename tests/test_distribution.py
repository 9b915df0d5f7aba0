"""The distribution has a name that is free on PyPI, a licence, and gives the command and the package their names."""

import re
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
