"""Whether the process that a command starts is counted."""

import os
import sys
import zipfile
from pathlib import Path

import pytest

from instrument.commands.reach import is_reached

BOOTSTRAP = str(Path(__file__).parents[2] / "instrument" / "bootstrap")


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """An environment in which the start-up file reaches every interpreter, installed or not."""
    monkeypatch.setenv("PYTHONPATH", BOOTSTRAP)


def script(folder, name, first_line):
    file = folder / name
    file.write_text(f"{first_line}\nprint(1)\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("arguments", [["x.py"], ["-c", "x", "-S"], ["-W", "ignore", "-m", "x", "-I"], ["-Werror", "x.py"]])
def test_an_interpreter_with_the_start_up_file(arguments):
    """Options of the program are its own."""
    found, why = is_reached([sys.executable, *arguments])

    assert found, why


@pytest.mark.parametrize("arguments", [["-S", "x.py"], ["-I"], ["-uES", "x.py"], ["-X", "dev", "-E", "-c", "x"], ["-bI", "-"]])
def test_options_that_shut_us_out(arguments):
    """With `-S`, `-E` and `-I` no variable or start-up file is looked at; what to do is said."""
    found, why = is_reached([sys.executable, *arguments])

    assert not found
    assert "instrument.start()" in why


def test_scripts_by_the_interpreter_that_they_name(tmp_path):
    """The first line says which, and its options."""
    assert is_reached([script(tmp_path, "good", f"#!{sys.executable}"), "-S"])[0]
    assert not is_reached([script(tmp_path, "bad", f"#!{sys.executable} -S")])[0]
    assert "/bin/sh" in is_reached([script(tmp_path, "other", "#!/bin/sh")])[1]


def test_programs_that_no_start_up_file_reaches(tmp_path):
    """A pex, a frozen program, and what is not there."""
    archive = tmp_path / "app.pex"
    archive.write_bytes(f"#!{sys.executable}\n".encode())
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("PEX-INFO", "{}")
    archive.chmod(0o755)
    frozen = tmp_path / "app"
    frozen.write_bytes(b"\x7fELF" + bytes(1000) + b"MEI\014\013\012\013\016" + bytes(80))
    frozen.chmod(0o755)

    for program, words in [(archive, "is a pex"), (frozen, "is a frozen program")]:
        found, why = is_reached([str(program)])
        assert not found
        assert words in why
        assert "instrument.start()" in why
    assert is_reached(["no-such-command"]) == (False, "there is no command 'no-such-command'")


def test_an_interpreter_without_the_start_up_file(monkeypatch):
    """It is asked, and the ways out are named."""
    monkeypatch.setenv("PYTHONNOUSERSITE", "1")
    monkeypatch.delenv("PYTHONPATH")
    found, why = is_reached([os.path.realpath(sys.executable)])  # outside of the environment, if this is one

    assert not found or os.path.realpath(sys.executable) == sys.executable
    assert found or "install the package there" in why
