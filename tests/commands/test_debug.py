"""`instrument debug` says what is on, where each setting comes from, and whether and why files are measured."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """A project with a package, and one thing of each kind that is not measured."""
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    (tmp_path / "package" / "module.py").write_text("def f(): return 1\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("x = = 1\n", encoding="utf-8")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "other.py").write_text("", encoding="utf-8")
    return tmp_path


def debug(folder, *arguments, **environment):
    """Return the status of `instrument debug`, its lines as words by name, and what it says on standard error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))}
    environment = {**kept, "PYTHONPATH": str(ROOT), "INSTRUMENT_CACHE": str(folder / "cache"), **environment}
    finished = subprocess.run(
        [sys.executable, "-m", "instrument", "debug", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    lines = {}
    for line in finished.stdout.splitlines():
        if line.startswith("  "):
            name, _, text = line.strip().partition("  ")
            lines[name.strip()] = text.strip()
    return finished.returncode, lines, finished.stderr


def test_settings_are_shown_with_where_they_come_from(folder):
    """Option, variable, file with table and key, or default."""
    (folder / "pyproject.toml").write_text("[tool.instrument]\nflush = 0\n", encoding="utf-8")

    status, lines, err = debug(folder, "--scope", "package", INSTRUMENT_DIR="data")

    assert (status, err) == (0, "")
    assert lines["scope"] == "package  [--scope]"
    assert lines["dir"] == f"{folder}/data  [INSTRUMENT_DIR]"
    assert lines["flush"] == f"only at the end  [{folder}/pyproject.toml, [tool.instrument], key 'flush']"
    assert lines["signal"] == "none  [default]"
    assert lines["counting"].startswith("off in processes with this environment (INSTRUMENT is unset)")
    assert lines["python"].endswith("known")
    assert lines["cache"].startswith(str(folder / "cache"))


def test_the_state_of_the_data_is_shown(folder):
    """Whether it is there, how much, and whether it can be written."""
    assert debug(folder)[1]["state"] == "not there yet; it can be made"
    (folder / ".instrument").mkdir()
    (folder / ".instrument" / "host-1-2-3.sqlite").write_bytes(b"x" * 1234)

    _, lines, _ = debug(folder, INSTRUMENT="1")

    assert lines["state"] == "can be written"
    assert lines["files"] == "1, 1,234 bytes"
    assert lines["counting"].startswith("on in processes with this environment")


def test_each_target_is_measured_or_not_and_why(folder):
    """Nothing is imported for it: the package would end the process."""
    targets = {
        "package.module": "measured: it is the project's own code",
        "package": "measured: it is the project's own code",
        "package/module.py": "measured: it is the project's own code",
        "json": "not measured: it is in the standard library",
        "sys": "not measured: it is built into the interpreter",
        "instrument.cli": "not measured: it is a part of instrument itself",
        "site-packages/other.py": "not measured: it is installed in a site-packages folder",
        "broken.py": "not measured: it cannot be compiled: invalid syntax",
        "package.inner": "not measured: it is a namespace package",
        "package.nothing": "not found: no module of this name can be found",
        "nothing.py": f"not found: there is no file {folder}/nothing.py",
    }

    if sys.version_info >= (3, 15):  # a namespace package in a package is not found there yet
        del targets["package.inner"]

    status, lines, err = debug(folder, *targets)

    assert (status, err) == (1, "")
    for target, words in targets.items():
        assert lines[target].startswith(words), target
    assert lines["package.module"].endswith(f"({folder}/package/module.py, as package.module)")
    assert lines["package/module.py"] == lines["package.module"]


def test_a_scope_that_matches_nothing_is_named(folder):
    """On standard error, with where it was said; names are not imported to find out."""
    status, lines, err = debug(folder, "package", INSTRUMENT="packag,no/such/folder,package")

    assert status == 0
    assert lines["package"].startswith("measured: it is package (")
    assert err.splitlines() == [
        "instrument: 'packag' in the scope (INSTRUMENT) matches nothing: no module of this name can be found from here",
        f"instrument: '{folder}/no/such/folder' in the scope (INSTRUMENT) matches nothing: there is no such file or folder",
    ]


def test_mistakes_are_named(folder):
    """As everywhere: one line, status 1."""
    assert debug(folder, INSTRUMENT_FLUSH="x")[0::2] == (
        1,
        "instrument: INSTRUMENT_FLUSH is 'x'; it is to be a number of seconds, 0 for only at the end\n",
    )
