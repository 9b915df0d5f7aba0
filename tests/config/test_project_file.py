"""Tests of instrument/config/project_file.py: the nearest pyproject.toml with the table is read, if it can be trusted."""

import datetime as dt
import os
import subprocess
import sys

import pytest
from config_files import settings
from processes import data_files

from instrument.config import project_file, publish, read_settings
from instrument.errors import ConfigError


@pytest.mark.parametrize("toml", ["[tool.other]\nx = ", "# instrument tool\n", "tool = 1 # instrument\n"])
def test_a_broken_file_without_the_table_is_skipped(tmp_path, toml):
    """Mistakes in such a file concern other tools."""
    assert settings(tmp_path, toml=toml, INSTRUMENT="1").scope == ()


def test_a_deeply_nested_file_without_the_table_is_skipped(tmp_path):
    """The parser fails on such a file, and the measurement still runs."""
    read = settings(tmp_path, toml="[tool.other]\nscope = " + "[" * 5000 + "]" * 5000, INSTRUMENT="1")

    assert read.directory == str(tmp_path / ".instrument")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("kind", ["pipe", "zero", "folder", "large"])
def test_a_path_that_is_no_small_regular_file_is_skipped(tmp_path, kind):
    """Reading it would block or fill the memory; the file in the folder above is used."""
    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nflush = 3\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "pyproject.toml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("[tool.instrument]\nflush = 4\n")
        os.truncate(path, 1 << 33)
    assert read_settings({}, {"INSTRUMENT": "1"}, str(inner)).flush == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make others' files")
@pytest.mark.parametrize("kind", ["file", "link", "link to a file"])
def test_a_file_of_another_user_is_ignored(tmp_path, monkeypatch, kind):
    """A message names the file once: child processes, which get published settings, print nothing."""
    ignored_files = project_file.ignored_files
    ignored_files.clear()
    text = '[tool.instrument]\ndir = "/elsewhere/.ssh"\n'
    path, other = tmp_path / "pyproject.toml", tmp_path / "other.toml"
    (path if kind == "file" else other).write_text(text)
    if kind == "link":
        path.symlink_to(other)
    elif kind == "link to a file":
        path.symlink_to(other)
        os.chown(other, 65533, -1)
    if kind != "link to a file":
        os.chown(path, 65533, -1, follow_symlinks=False)
    environment = {"INSTRUMENT": "1"}
    read = read_settings({}, environment, str(tmp_path))

    assert read.directory == str(tmp_path / ".instrument")
    [message] = ignored_files
    assert message.startswith(f"{path} is ignored because it belongs to another user; change its owner, or")
    assert "INSTRUMENT_DIR" in message
    publish(read, environment)
    ignored_files.clear()
    read_settings({}, environment, str(tmp_path))
    assert ignored_files == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make others' files")
def test_a_measured_process_names_the_ignored_file(tmp_path):
    """The process is counted nevertheless, and its child process prints nothing."""
    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nsignal = 'TERM'\n")
    os.chown(tmp_path / "pyproject.toml", 65533, -1)
    (tmp_path / "a.py").write_text("import sys, subprocess\nif not sys.argv[1:]: subprocess.run([sys.executable, 'a.py', 'x'])")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    done = subprocess.run(
        [sys.executable, "a.py"],
        cwd=tmp_path,
        env={**environment, "INSTRUMENT": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.stderr.startswith(f"instrument: {tmp_path}/pyproject.toml is ignored")
    assert done.stderr.count("\n") == 1
    assert len(data_files(tmp_path / ".instrument")) == 2


def test_reading_the_file_leaves_no_module_in_sys_modules(tmp_path):
    """The measured program can still be the first to import `tomllib` and `re`."""
    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\nscope = "a.b"\n', encoding="utf-8")
    program = (
        "import sys\nfrom instrument.config import read_settings\nbefore = set(sys.modules)\n"
        "assert read_settings().scope == ('a.b',)\nprint(sorted(set(sys.modules) - before))\n"
    )

    finished = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "INSTRUMENT": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert finished.stderr == ""
    assert finished.stdout == "[]\n"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            '[tool.instrument]\nscop = "x"',
            "unknown key 'scop' in [tool.instrument]; the keys are scope, dir, flush, signal, lines, shared, quiet, include, omit",
        ),
        ("[tool.instrument]\nscope = 1", "[tool.instrument], key 'scope' is a number; it must be a list"),
        ("[tool.instrument]\nscope = [1]", "key 'scope' is a list; it must be a list of dotted names and paths"),
        ('[tool.instrument]\nscope = ["a b"]', "'a b' is neither a dotted name nor a path that exists"),
        ("[tool.instrument]\ndir = true", "key 'dir' is a boolean; it must be the path of a folder"),
        ("[tool.instrument]\nshared = 2", "key 'shared' is 2; it must be 1 or 0, and 1 trusts all users who can write"),
        ("[tool.instrument]\nquiet = 2", "key 'quiet' is 2; it must be 1 or 0, and 1 says nothing"),
        ('[tool.instrument]\nflush = "soon"', "key 'flush' is 'soon'; it must be a number of seconds"),
        ("[tool.instrument]\nflush = nan", "key 'flush' is nan"),
        ("[tool.instrument]\nflush = true", "key 'flush' is True"),
        ('[tool.instrument]\nsignal = "USR9"', "key 'signal' is 'USR9'; it must be the name or number of a signal"),
        ('[tool.instrument]\nsignal = "KILL"', "key 'signal' is 'KILL', a signal with another use"),
        ("[tool]\ninstrument = 3", "[tool.instrument] is a number; it must be a table"),
        ("[tool.instrument]\nscope = ", "cannot be read as TOML"),
        ("[tool.instrument]\nscope = " + "[" * 5000 + "]" * 5000, "cannot be read as TOML"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, toml, message):
    """The message names the file, the key, and the possible values."""
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, toml=toml, INSTRUMENT="1")

    assert message in str(error.value)
    assert str(tmp_path / "pyproject.toml") in str(error.value)


@pytest.mark.parametrize(("text", "is_on"), [("1", True), ("true", True), ("0", False), ("false", False), ("'yes'", True)])
def test_a_switch_is_a_number_a_boolean_or_a_word(tmp_path, text, is_on):
    """All forms turn a switch on or off."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.instrument]\nshared = {text}\nquiet = {text}\nlines = {text}\n", encoding="utf-8")

    read = read_settings({}, {}, str(tmp_path))

    assert (read.shared, read.quiet, read.lines) == (is_on, is_on, is_on)


def test_the_table_is_that_of_the_present_content(tmp_path):
    """A table is stored by the time and size of its file, and another content may have the same."""
    file = tmp_path / "pyproject.toml"
    tables = []
    for name in ("one", "two"):
        file.write_text(f'[tool.instrument]\nscope = "{name}"\n', encoding="utf-8")
        os.utime(file, (1, 1))
        tables.append(project_file.find_table(str(tmp_path)))

    assert tables == [({"scope": name}, str(file)) for name in ("one", "two")]


def test_a_table_with_a_date_is_read_each_time(tmp_path):
    """Dates cannot be stored."""
    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nscope = 2001-02-03\n", encoding="utf-8")
    tables = [project_file.find_table(str(tmp_path))[0] for _ in range(2)]

    assert tables == [{"scope": dt.date(2001, 2, 3)}] * 2
