"""Settings come from options, then the environment, then the nearest pyproject.toml with our table."""

import os
import signal
import subprocess
import sys

import pytest

from instrument.config import ConfigError, Settings, is_on, publish, read_settings


def settings(tmp_path, options=None, toml=None, **environment):
    """Return the settings that *options*, *environment* and the text of a pyproject.toml come to."""
    if toml is not None:
        (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")
    return read_settings(options, environment, str(tmp_path))


@pytest.mark.parametrize(
    ("value", "on"),
    [(None, False), ("", False), (" ", False), ("0", False), ("off", False), ("False", False), ("1", True)]
    + [("true", True), ("On", True), ("package", True), ("a/", True), ("00", True)],
)
def test_a_variable_turns_it_on(value, on):
    """Unset, empty, 0, false and off are off, all else is on."""
    assert is_on({} if value is None else {"INSTRUMENT": value}) == on


def test_defaults(tmp_path):
    """Without a word, the project's own code is counted and written to .instrument every ten seconds."""
    found = settings(tmp_path, INSTRUMENT="1")

    assert (found.scope, found.flush, found.signal, found.placement) == ((), 10.0, None, "minimal")
    assert found.directory == str(tmp_path / ".instrument")
    assert set(found.origins.values()) == {"default"}


def test_dotted_names_and_paths_are_told_apart(tmp_path):
    """An item with a separator, ending in .py, or that exists and is no dotted name, is a path, and made absolute."""
    (tmp_path / "my-app").mkdir()
    (tmp_path / "both").mkdir()

    found = settings(tmp_path, INSTRUMENT="pkg, other.pkg,src/,one.py,my-app,both,.,,pkg")

    paths = [str(tmp_path / name) for name in ("src", "one.py", "my-app")]
    assert found.scope == ("pkg", "other.pkg", *paths, "both", str(tmp_path))
    assert found.origins["scope"] == "INSTRUMENT"


def test_options_outrank_the_environment_and_that_the_file(tmp_path):
    """Each setting is taken from the highest of the three that has it, and says which that was."""
    toml = '[tool.instrument]\nscope = ["filed"]\ndir = "filed"\nflush = 3\nsignal = "USR2"\n'
    options = {"scope": ["optional,too"], "dir": None, "flush": None, "signal": None}

    found = settings(tmp_path, options, toml, INSTRUMENT="environ", INSTRUMENT_DIR="environ", INSTRUMENT_FLUSH="0")

    assert found.scope == ("optional", "too")
    assert found.directory == str(tmp_path / "environ")
    assert found.flush == 0
    assert found.signal == signal.SIGUSR2
    assert found.origins["scope"] == "--scope"
    assert found.origins["flush"] == "INSTRUMENT_FLUSH"
    assert str(tmp_path / "pyproject.toml") in found.origins["signal"]


def test_being_on_leaves_the_scope_to_the_file(tmp_path):
    """INSTRUMENT=1 says that there is a measurement, not of what."""
    assert settings(tmp_path, toml='[tool.instrument]\nscope = "filed"', INSTRUMENT="1").scope == ("filed",)


def test_paths_in_a_file_start_from_its_folder(tmp_path):
    """Wherever below it the process was started; files without our table are passed over."""
    inner = tmp_path / "inner" / "most"
    inner.mkdir(parents=True)
    (tmp_path / "inner" / "pyproject.toml").write_text("[tool.other]\ninstrument = 1\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\nscope = ["src/"]\ndir = "out"\n', encoding="utf-8")

    found = read_settings({}, {"INSTRUMENT": "1"}, str(inner))

    assert found.scope == (str(tmp_path / "src"),)
    assert found.directory == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            '[tool.instrument]\nscop = "x"',
            "unknown key 'scop' in [tool.instrument]; there are scope, dir, flush, signal, shared",
        ),
        ("[tool.instrument]\nscope = 1", "[tool.instrument], key 'scope' is a number; it is to be a list"),
        ("[tool.instrument]\nscope = [1]", "key 'scope' is a list; it is to be a list of dotted names and paths"),
        ('[tool.instrument]\nscope = ["a b"]', "'a b' is neither a dotted name nor a path that exists"),
        ("[tool.instrument]\ndir = true", "key 'dir' is a truth value; it is to be the path of a folder"),
        ("[tool.instrument]\nshared = 2", "key 'shared' is 2; it is to be 1 or 0: do you trust all who can write"),
        ('[tool.instrument]\nflush = "soon"', "key 'flush' is 'soon'; it is to be a number of seconds"),
        ("[tool.instrument]\nflush = nan", "key 'flush' is nan"),
        ("[tool.instrument]\nflush = true", "key 'flush' is True"),
        ('[tool.instrument]\nsignal = "USR9"', "key 'signal' is 'USR9'; it is to be the name or number of a signal"),
        ('[tool.instrument]\nsignal = "KILL"', "key 'signal' is 'KILL', a signal that no process can handle"),
        ("[tool]\ninstrument = 3", "[tool.instrument] is a number; it is to be a table"),
        ("[tool.instrument]\nscope = ", "cannot be read as TOML"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, toml, words):
    """The message names the file, the key, and what it can be."""
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, toml=toml, INSTRUMENT="1")

    assert words in str(error.value)
    assert str(tmp_path / "pyproject.toml") in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("INSTRUMENT_FLUSH", "-1", "INSTRUMENT_FLUSH is '-1'; it is to be a number of seconds"),
        ("INSTRUMENT_SIGNAL", "99", "INSTRUMENT_SIGNAL is '99'; it is to be the name or number"),
        ("INSTRUMENT", "a-b", "INSTRUMENT: 'a-b' is neither a dotted name nor a path that exists"),
    ],
)
def test_mistakes_in_the_environment_are_named(tmp_path, variable, value, words):
    """The message names the variable."""
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, **{variable: value})

    assert words in str(error.value)


@pytest.mark.parametrize("toml", ["[tool.other]\nx = ", "# instrument tool\n", "tool = 1 # instrument\n"])
def test_files_of_others_are_none_of_our_business(tmp_path, toml):
    """Without our table, not even a broken file is a mistake."""
    assert settings(tmp_path, toml=toml, INSTRUMENT="1").scope == ()


def test_what_is_published_means_the_same_elsewhere(tmp_path):
    """A child process that works in another folder reads the same settings, and needs no file for it."""
    toml = '[tool.instrument]\nscope = ["src/", "name"]\nflush = 0.5\nsignal = "usr1"\n'
    found = settings(tmp_path, toml=toml, INSTRUMENT="1", INSTRUMENT_DIR="data")
    environment = {}
    publish(found, environment)

    again = read_settings(None, environment, os.path.abspath(os.sep))

    for name in ("scope", "directory", "flush", "signal"):
        assert getattr(again, name) == getattr(found, name), name


def test_settings_are_frozen():
    """They are what was said at the start."""
    with pytest.raises(AttributeError, match="cannot be changed: flush"):
        Settings().flush = 1


def test_reading_a_file_leaves_no_module_behind(tmp_path):
    """The program that is measured finds `tomllib`, `re` and others imported or not as without us."""
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
