"""Settings come from options, then the environment, then the nearest pyproject.toml with our table."""

import os
import signal
import subprocess
import sys

import pytest

from instrument.config import Settings, is_on, project_file, publish, read_directory, read_settings
from instrument.config.reports import read_patterns
from instrument.config.values import ARGUMENT, ENVIRONMENT, FILE
from instrument.errors import ConfigError


def settings(tmp_path, options=None, toml=None, **environment):
    """Return the settings that *options*, *environment* and the text of a pyproject.toml come to."""
    if toml is not None:
        (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")
    return read_settings(options, environment, str(tmp_path))


@pytest.mark.parametrize(
    ("value", "on"),
    [(None, False), ("", False), (" ", False), ("0", False), ("off", False), ("False", False), ("1", True)]
    + [("true", True), ("On", True), ("package", True), ("a/", True), ("00", True), ("yes", True), ("no", False)],
)
def test_a_variable_turns_it_on(value, on):
    """Unset, empty, 0, false and off are off, all else is on."""
    assert is_on({} if value is None else {"INSTRUMENT": value}) == on


def test_defaults(tmp_path):
    """Without a word, the project's own code is counted and written to .instrument every ten seconds."""
    found = settings(tmp_path, INSTRUMENT="1")

    assert (found.scope, found.flush, found.signal, found.placement) == ((), 10.0, None, "minimal")
    assert found.directory == str(tmp_path / ".instrument")
    assert set(map(str, found.origins.values())) == {"default"}


def test_dotted_names_and_paths_are_told_apart(tmp_path):
    """An item with a separator, ending in .py, or that exists and is no dotted name, is a path, and made absolute."""
    (tmp_path / "my-app").mkdir()
    (tmp_path / "both").mkdir()

    found = settings(tmp_path, INSTRUMENT="pkg, other.pkg,src/,one.py,my-app,both,.,,pkg")

    paths = [str(tmp_path / name) for name in ("src", "one.py", "my-app")]
    assert found.scope == ("pkg", "other.pkg", *paths, "both", str(tmp_path))
    assert str(found.origins["scope"]) == "INSTRUMENT"


def test_options_outrank_the_environment_and_that_the_file(tmp_path):
    """Each setting is taken from the highest of the three that has it, and says which that was."""
    toml = '[tool.instrument]\nscope = ["filed"]\ndir = "filed"\nflush = 3\nsignal = "USR2"\n'
    options = {"scope": ["optional,too"], "dir": None, "flush": None, "signal": None}

    found = settings(tmp_path, options, toml, INSTRUMENT="environ", INSTRUMENT_DIR="environ", INSTRUMENT_FLUSH="0")

    assert found.scope == ("optional", "too")
    assert found.directory == str(tmp_path / "environ")
    assert found.flush == 0
    assert found.signal == signal.SIGUSR2
    assert (found.origins["scope"].kind, str(found.origins["scope"])) == (ARGUMENT, "--scope")
    assert (found.origins["flush"].kind, str(found.origins["flush"])) == (ENVIRONMENT, "INSTRUMENT_FLUSH")
    assert found.origins["signal"].kind == FILE
    assert str(tmp_path / "pyproject.toml") in str(found.origins["signal"])


def test_being_on_leaves_the_scope_to_the_file(tmp_path):
    """INSTRUMENT=1 says that there is a measurement, not of what."""
    assert settings(tmp_path, toml='[tool.instrument]\nscope = "filed"', INSTRUMENT="1").scope == ("filed",)


@pytest.mark.parametrize("word", ["1", "true", "On", "yes", " YES "])
def test_words_that_turn_it_on_are_no_modules(tmp_path, word):
    """They mean the project's own code, alone and as items."""
    assert settings(tmp_path, INSTRUMENT=word).scope == ()
    assert settings(tmp_path, {"scope": [word]}).scope == ()
    assert settings(tmp_path, INSTRUMENT=f"{word},json").scope == ("1", "json")
    assert settings(tmp_path, toml=f'[tool.instrument]\nscope = ["json", "{word}"]', INSTRUMENT="1").scope == ("json", "1")


@pytest.mark.parametrize(
    ("pattern", "better"),
    [
        ("*.py", "the folder './'"),
        ("src/*.py", "the folder 'src/'"),
        ("src/**/shop?.py", "the folder 'src/'"),
        ("shop.*", "the package 'shop'"),
        ("shop*", "the folder './'"),
        ("[ab].py", "the folder './'"),
    ],
)
def test_patterns_are_refused(tmp_path, pattern, better):
    """The message has the right form; a file of such a name is no pattern."""
    for options, environment in ({"scope": [pattern]}, {}), ({}, {"INSTRUMENT": pattern}):
        with pytest.raises(ConfigError) as error:
            settings(tmp_path, options, **environment)
        assert f"{pattern!r} is a pattern, and a scope takes no patterns; name {better}" in str(error.value)

    (tmp_path / "[ab].py").touch()
    assert settings(tmp_path, INSTRUMENT="[ab].py").scope == (str(tmp_path / "[ab].py"),)


def test_data_is_kept_beside_the_file_with_our_table(tmp_path, monkeypatch):
    """Wherever below it a process is started, and there the commands look for it."""
    monkeypatch.delenv("INSTRUMENT_DIR", raising=False)
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\n", encoding="utf-8")
    assert read_settings({}, {"INSTRUMENT": "1"}, str(inner)).directory == str(inner / ".instrument")
    assert read_directory(str(inner)) == ".instrument"

    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nflush = 3\n", encoding="utf-8")
    found = read_settings({}, {"INSTRUMENT": "1"}, str(inner))
    assert found.directory == read_directory(str(inner)) == str(tmp_path / ".instrument")
    assert str(found.origins["dir"]) == f"default, beside {tmp_path / 'pyproject.toml'}"
    assert read_directory(str(tmp_path)) == ".instrument"
    assert read_settings({}, {"INSTRUMENT": "1", "INSTRUMENT_DIR": ""}, str(inner)).directory == found.directory

    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\ndir = "data"\n', encoding="utf-8")
    assert read_directory(str(inner)) == str(tmp_path / "data")
    monkeypatch.setenv("INSTRUMENT_DIR", "elsewhere")
    assert read_directory(str(inner)) == "elsewhere"


def test_a_file_says_which_sources_to_report(tmp_path):
    """Patterns start from its folder, unless they begin with a star."""
    inner = tmp_path / "inner"
    inner.mkdir()
    toml = '[tool.instrument]\nomit = ["tests", "./src/*_pb2.py", "*/migrations/*"]\ninclude = "src/"\n'
    (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")

    assert read_patterns("omit", str(inner)) == [f"{tmp_path}/tests", f"{tmp_path}/src/*_pb2.py", "*/migrations/*"]
    assert read_patterns("include", str(inner)) == [f"{tmp_path}/src"]
    assert read_settings({}, {"INSTRUMENT": "1"}, str(inner)).scope == ()

    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nomit = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="key 'omit' is a number; it must be a list of patterns"):
        read_patterns("omit", str(inner))
    assert read_patterns("include", str(inner)) == []


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
            "unknown key 'scop' in [tool.instrument]; the keys are scope, dir, flush, signal, shared, include, omit",
        ),
        ("[tool.instrument]\nscope = 1", "[tool.instrument], key 'scope' is a number; it must be a list"),
        ("[tool.instrument]\nscope = [1]", "key 'scope' is a list; it must be a list of dotted names and paths"),
        ('[tool.instrument]\nscope = ["a b"]', "'a b' is neither a dotted name nor a path that exists"),
        ("[tool.instrument]\ndir = true", "key 'dir' is a boolean; it must be the path of a folder"),
        ("[tool.instrument]\nshared = 2", "key 'shared' is 2; it must be 1 or 0, and 1 trusts all users who can write"),
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
def test_mistakes_in_a_file_are_named(tmp_path, toml, words):
    """The message names the file, the key, and what it can be."""
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, toml=toml, INSTRUMENT="1")

    assert words in str(error.value)
    assert str(tmp_path / "pyproject.toml") in str(error.value)


def test_a_file_of_others_that_cannot_be_read_is_ignored_files(tmp_path):
    """Lists that are nested too deep for the reader are no reason to count nothing, if the file has no table of ours."""
    found = settings(tmp_path, toml="[tool.other]\nscope = " + "[" * 5000 + "]" * 5000, INSTRUMENT="1")

    assert found.directory == str(tmp_path / ".instrument")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("INSTRUMENT_FLUSH", "-1", "INSTRUMENT_FLUSH is '-1'; it must be a number of seconds"),
        ("INSTRUMENT_SIGNAL", "99", "INSTRUMENT_SIGNAL is '99'; it must be the name or number"),
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


ENDING = ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "SEGV", "SYS", "PIPE", "ALRM", "TERM"]
ENDING += ["CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "XCPU", "XFSZ", "VTALRM", "PROF"]


@pytest.mark.skipif(os.name != "posix", reason="there are hardly any signals")
@pytest.mark.parametrize("how", ["option", "environment", "file"])
@pytest.mark.parametrize("name", ENDING)
def test_no_signal_with_a_meaning_is_taken(tmp_path, how, name):
    """A process that took SIGTERM for a request to save would survive it; from wherever that is said."""
    number = int(getattr(signal, f"SIG{name}"))
    for value in (name, f"sig{name}", str(number)):
        options = {"signal": value} if how == "option" else None
        toml = f'[tool.instrument]\nsignal = "{value}"' if how == "file" else None
        environment = {"INSTRUMENT_SIGNAL": value} if how == "environment" else {}
        with pytest.raises(ConfigError, match=r"a signal with another use.*USR1, USR2"):
            settings(tmp_path, options, toml, INSTRUMENT="1", **environment)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="there are no real-time signals")
def test_free_signals_are_taken(tmp_path):
    """Those that are there for programs, and those that do nothing by default."""
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG, signal.SIGRTMIN, signal.SIGRTMIN + 3, signal.SIGRTMAX):
        assert settings(tmp_path, {"signal": str(int(number))}).signal == number


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("kind", ["pipe", "zero", "folder", "large"])
def test_what_is_no_settings_file_is_ignored_files(tmp_path, kind):
    """Neither is a pipe waited for, nor memory filled; the file above is found."""
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
@pytest.mark.parametrize("what", ["file", "link", "link to a file"])
def test_the_file_of_another_user_is_ignored_files(tmp_path, monkeypatch, what):
    """It is named once: a child process, whose settings were published, says nothing more."""
    ignored_files = project_file.ignored_files
    ignored_files.clear()
    text = '[tool.instrument]\ndir = "/elsewhere/.ssh"\n'
    path, other = tmp_path / "pyproject.toml", tmp_path / "other.toml"
    (path if what == "file" else other).write_text(text)
    if what == "link":
        path.symlink_to(other)
    elif what == "link to a file":
        path.symlink_to(other)
        os.chown(other, 65533, -1)
    if what != "link to a file":
        os.chown(path, 65533, -1, follow_symlinks=False)
    environment = {"INSTRUMENT": "1"}
    found = read_settings({}, environment, str(tmp_path))

    assert found.directory == str(tmp_path / ".instrument")
    [words] = ignored_files
    assert words.startswith(f"{path} is ignored because it belongs to another user; change its owner, or")
    assert "INSTRUMENT_DIR" in words
    publish(found, environment)
    ignored_files.clear()
    read_settings({}, environment, str(tmp_path))
    assert ignored_files == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make others' files")
def test_a_measured_process_names_the_file_of_another_user(tmp_path):
    """It counts all the same; its own child says nothing."""
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
    assert len(list((tmp_path / ".instrument").glob("*.sqlite"))) == 2


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
