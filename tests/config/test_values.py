"""Tests of instrument/config/values.py: each value is checked, and a message names its origin."""

import os
import signal

import pytest
from config_files import settings

from instrument.errors import ConfigError


def test_items_of_a_scope_are_dotted_names_or_paths(tmp_path):
    """An item is a path if it has a separator, ends in .py, or exists and is no dotted name. Paths become absolute."""
    (tmp_path / "my-app").mkdir()
    (tmp_path / "both").mkdir()

    read = settings(tmp_path, INSTRUMENT="pkg, other.pkg,src/,one.py,my-app,both,.,,pkg")

    paths = [str(tmp_path / name) for name in ("src", "one.py", "my-app")]
    assert read.scope == ("pkg", "other.pkg", *paths, "both", str(tmp_path))
    assert str(read.origins["scope"]) == "INSTRUMENT"


@pytest.mark.parametrize("word", ["1", "true", "On", "yes", " YES "])
def test_words_that_turn_the_measurement_on_are_no_modules(tmp_path, word):
    """In a scope, such a word stands for the project's own code, alone and beside other items."""
    assert settings(tmp_path, INSTRUMENT=word).scope == ()
    assert settings(tmp_path, {"scope": [word]}).scope == ()
    assert settings(tmp_path, INSTRUMENT=f"{word},json").scope == ("1", "json")
    assert settings(tmp_path, toml=f'[tool.instrument]\nscope = ["json", "{word}"]', INSTRUMENT="1").scope == ("json", "1")


@pytest.mark.parametrize(
    ("pattern", "alternative"),
    [
        ("*.py", "the folder './'"),
        ("src/*.py", "the folder 'src/'"),
        ("src/**/shop?.py", "the folder 'src/'"),
        ("shop.*", "the package 'shop'"),
        ("shop*", "the folder './'"),
        ("[ab].py", "the folder './'"),
    ],
)
def test_patterns_in_a_scope_are_refused(tmp_path, pattern, alternative):
    """The message names an item to use instead. The name of an existing file is no pattern."""
    for options, environment in ({"scope": [pattern]}, {}), ({}, {"INSTRUMENT": pattern}):
        with pytest.raises(ConfigError) as error:
            settings(tmp_path, options, **environment)
        assert f"{pattern!r} is a pattern, and a scope takes no patterns; name {alternative}" in str(error.value)

    (tmp_path / "[ab].py").touch()
    assert settings(tmp_path, INSTRUMENT="[ab].py").scope == (str(tmp_path / "[ab].py"),)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("INSTRUMENT_FLUSH", "-1", "INSTRUMENT_FLUSH is '-1'; it must be a number of seconds"),
        ("INSTRUMENT_SIGNAL", "99", "INSTRUMENT_SIGNAL is '99'; it must be the name or number"),
        ("INSTRUMENT", "a-b", "INSTRUMENT: 'a-b' is neither a dotted name nor a path that exists"),
    ],
)
def test_mistakes_in_the_environment_are_named(tmp_path, variable, value, message):
    """The message names the variable."""
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, **{variable: value})

    assert message in str(error.value)


ENDING = ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "SEGV", "SYS", "PIPE", "ALRM", "TERM"]
ENDING += ["CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "XCPU", "XFSZ", "VTALRM", "PROF"]


@pytest.mark.skipif(os.name != "posix", reason="there are hardly any signals")
@pytest.mark.parametrize("source", ["option", "environment", "file"])
@pytest.mark.parametrize("name", ENDING)
def test_signals_with_another_use_are_refused(tmp_path, source, name):
    """A process that saved its data at SIGTERM would survive the signal. That holds for each source of the setting."""
    number = int(getattr(signal, f"SIG{name}"))
    for value in (name, f"sig{name}", str(number)):
        options = {"signal": value} if source == "option" else None
        toml = f'[tool.instrument]\nsignal = "{value}"' if source == "file" else None
        environment = {"INSTRUMENT_SIGNAL": value} if source == "environment" else {}
        with pytest.raises(ConfigError, match=r"a signal with another use.*USR1, USR2"):
            settings(tmp_path, options, toml, INSTRUMENT="1", **environment)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="there are no real-time signals")
def test_signals_for_programs_are_accepted(tmp_path):
    """These signals exist for programs, or do nothing by default."""
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG, signal.SIGRTMIN, signal.SIGRTMIN + 3, signal.SIGRTMAX):
        assert settings(tmp_path, {"signal": str(int(number))}).signal == number
