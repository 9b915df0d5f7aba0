"""Tests of the distribution: its name, its licence, its metadata, and the README."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOML = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = TOML["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_distribution_has_another_name_than_the_package():
    """On PyPI `instrument` is another project; an upgrade by that name would replace this package."""
    assert PROJECT["name"] == "instrument-counts"
    assert PROJECT["scripts"] == {"instrument": "instrument.cli:main"}


def test_the_wheel_has_the_start_up_file_and_the_plugin_of_pytest_at_its_root():
    """The interpreter and pytest look for them there, and pytest finds the name of the plugin in the metadata."""
    files = TOML["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]

    assert sorted(files.values()) == ["instrument.pth", "instrument_pytest.py"]
    assert all((ROOT / path).is_file() for path in files)
    assert PROJECT["entry-points"] == {"pytest11": {"instrument": "instrument_pytest"}}


def test_no_text_recommends_to_install_the_other_project():
    """No `pip install` in the READMEs and in the sources installs `instrument` from PyPI."""
    texts = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *(ROOT / "instrument").rglob("*.py")]

    for path in texts:
        for command in re.findall(r"pip install ([^&|;\n]*)", path.read_text(encoding="utf-8")):
            assert not re.search(r"(?<![\w./-])instrument(?![\w-])", command), f"{path}: {command}"


def test_the_licence_is_in_the_package():
    """The metadata name the licence by its SPDX expression, and the package has its text and the marker of types."""
    assert PROJECT["license"] == "MIT"
    for name in PROJECT["license-files"]:
        assert (ROOT / name).read_text(encoding="utf-8").startswith("MIT License")
        assert name.startswith("instrument/")
    assert (ROOT / "instrument" / "py.typed").exists()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def code_blocks():
    """Return the code blocks of the README, in order."""
    return re.findall(r"^```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def block_with(text):
    """Return the first code block of the README that contains *text*."""
    return next(block for block in code_blocks() if text in block)


def test_the_commands_of_the_readme_print_what_it_shows(tmp_path):
    """Its first program, the report on it, and the program that uses `Trace` are run as they stand there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT_", "COLUMNS"))}
    environment = {**kept, "PYTHONPATH": str(ROOT)}

    def output_of(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=True
        ).stdout

    (tmp_path / "shop.py").write_text(block_with("def price"), encoding="utf-8")
    shown = block_with("run shop.py")
    printed = []
    for line in re.findall(r"^\$ instrument (.*)$", shown, re.MULTILINE):
        printed += [f"$ instrument {line}\n", output_of("-m", "instrument", *line.split())]
    date = re.compile(r"since [-0-9: ]+")
    assert date.sub("", "".join(printed)) == date.sub("", shown)
    assert "--missing" in shown

    (tmp_path / "count.py").write_text(block_with("as trace"), encoding="utf-8")
    output_of("count.py")
    listing = (tmp_path / "counts" / "shop.cover").read_text(encoding="utf-8")
    listing = "".join(line.rstrip() + "\n" for line in listing.splitlines())
    assert listing.startswith(block_with("    1: def"))


def test_the_two_commands_to_copy_are_single_lines():
    """The command to try it and the command for the tests work word for word. Each is alone in its block."""
    commands = [block for block in code_blocks() if block.startswith("python -m venv")]

    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)


def test_links_inside_the_readme_lead_to_an_anchor():
    """A link `#name` names a heading or an anchor of the README."""
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    anchors |= set(re.findall(r'<a id="([\w-]+)">', README))

    assert set(re.findall(r"\]\(#([\w-]+)\)", README)) <= anchors


def test_links_to_files_lead_to_a_file():
    """Each file that the README links to exists."""
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    paths = [link for link in re.findall(r"\]\(([^)#]+)\)", prose) if "://" not in link]

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_each_limit_has_one_anchor_and_its_name():
    """The anchor of a limit is `limit-` and the name that the table shows."""
    limits = re.findall(r'^\| <a id="limit-([\w-]+)"></a>([\w-]+) \|', README, re.MULTILINE)

    assert len(limits) == README.count('<a id="limit-') > 40
    assert all(anchor == name for anchor, name in limits)
    assert len(limits) == len(set(limits))


def test_messages_name_limits_that_exist():
    """A message that ends with "README, limit NAME" names a limit of the README."""
    for path in (ROOT / "instrument").rglob("*.py"):
        for name in re.findall(r"README, limit ([\w-]+)", path.read_text(encoding="utf-8")):
            assert f'<a id="limit-{name}">' in README, f"{path}: {name}"
