"""Tests of instrument/config/__init__.py: settings come from options, then the environment, then pyproject.toml."""

import os
import signal

import pytest
from config_files import settings

from instrument.config import Settings, is_on, publish, read_directory, read_settings
from instrument.config.values import ARGUMENT, ENVIRONMENT, FILE


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), ("", False), (" ", False), ("0", False), ("off", False), ("False", False), ("1", True)]
    + [("true", True), ("On", True), ("package", True), ("a/", True), ("00", True), ("yes", True), ("no", False)],
)
def test_a_variable_turns_the_measurement_on(value, expected):
    """INSTRUMENT turns it off if it is unset, empty, 0, false, off or no; any other value turns it on."""
    assert is_on({} if value is None else {"INSTRUMENT": value}) == expected


def test_defaults(tmp_path):
    """Without any setting, own code is counted and saved to .instrument every ten seconds."""
    read = settings(tmp_path, INSTRUMENT="1")

    assert (read.scope, read.flush, read.signal, read.placement) == ((), 10.0, None, "minimal")
    assert read.directory == str(tmp_path / ".instrument")
    assert set(map(str, read.origins.values())) == {"default"}


def test_options_precede_the_environment_and_the_environment_precedes_the_file(tmp_path):
    """Each setting comes from the first of the three sources that has it, and names this origin."""
    toml = '[tool.instrument]\nscope = ["from_file"]\ndir = "from_file"\nflush = 3\nsignal = "USR2"\n'
    options = {"scope": ["from_option,too"], "dir": None, "flush": None, "signal": None}

    read = settings(tmp_path, options, toml, INSTRUMENT="from_environment", INSTRUMENT_DIR="from_environment", INSTRUMENT_FLUSH="0")

    assert read.scope == ("from_option", "too")
    assert read.directory == str(tmp_path / "from_environment")
    assert read.flush == 0
    assert read.signal == signal.SIGUSR2
    assert (read.origins["scope"].kind, str(read.origins["scope"])) == (ARGUMENT, "--scope")
    assert (read.origins["flush"].kind, str(read.origins["flush"])) == (ENVIRONMENT, "INSTRUMENT_FLUSH")
    assert read.origins["signal"].kind == FILE
    assert str(tmp_path / "pyproject.toml") in str(read.origins["signal"])


def test_the_word_1_leaves_the_scope_to_the_file(tmp_path):
    """INSTRUMENT=1 turns the measurement on, and the file gives the scope."""
    assert settings(tmp_path, toml='[tool.instrument]\nscope = "from_file"', INSTRUMENT="1").scope == ("from_file",)


def test_the_data_folder_is_beside_the_file_with_the_table(tmp_path, monkeypatch):
    """That holds for a process in any folder below the file, and commands search the data there."""
    monkeypatch.delenv("INSTRUMENT_DIR", raising=False)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\n", encoding="utf-8")
    assert read_settings({}, {"INSTRUMENT": "1"}, str(inner)).directory == str(inner / ".instrument")
    assert read_directory(str(inner)) == ".instrument"

    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nflush = 3\n", encoding="utf-8")
    read = read_settings({}, {"INSTRUMENT": "1"}, str(inner))
    assert read.directory == read_directory(str(inner)) == str(tmp_path / ".instrument")
    assert str(read.origins["dir"]) == f"default, beside {tmp_path / 'pyproject.toml'}"
    assert read_directory(str(tmp_path)) == ".instrument"
    assert read_settings({}, {"INSTRUMENT": "1", "INSTRUMENT_DIR": ""}, str(inner)).directory == read.directory

    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\ndir = "data"\n', encoding="utf-8")
    assert read_directory(str(inner)) == str(tmp_path / "data")
    monkeypatch.setenv("INSTRUMENT_DIR", "elsewhere")
    assert read_directory(str(inner)) == "elsewhere"


def test_paths_in_the_file_start_from_its_folder(tmp_path):
    """The folder of the process does not matter, and files without the table are skipped."""
    inner = tmp_path / "inner" / "most"
    inner.mkdir(parents=True)
    (tmp_path / "inner" / "pyproject.toml").write_text("[tool.other]\ninstrument = 1\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\nscope = ["src/"]\ndir = "out"\n', encoding="utf-8")

    read = read_settings({}, {"INSTRUMENT": "1"}, str(inner))

    assert read.scope == (str(tmp_path / "src"),)
    assert read.directory == str(tmp_path / "out")


def test_published_settings_hold_in_any_folder(tmp_path):
    """A child process in another folder reads the same settings, without a file."""
    toml = '[tool.instrument]\nscope = ["src/", "name"]\nflush = 0.5\nsignal = "usr1"\n'
    read = settings(tmp_path, toml=toml, INSTRUMENT="1", INSTRUMENT_DIR="data")
    environment = {}
    publish(read, environment)

    again = read_settings(None, environment, os.path.abspath(os.sep))

    for name in ("scope", "directory", "flush", "signal"):
        assert getattr(again, name) == getattr(read, name), name


def test_settings_cannot_be_changed():
    """Assigning to an attribute raises AttributeError."""
    with pytest.raises(AttributeError, match="cannot be changed: flush"):
        Settings().flush = 1
