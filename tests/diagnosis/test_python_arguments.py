"""Tests of instrument/diagnosis/python_arguments.py: the command line of an interpreter is taken apart."""

import pytest

from instrument.diagnosis.python_arguments import ProgramKind, option_letters, parse_python_command
from instrument.errors import InstrumentError, NotPythonError


@pytest.mark.parametrize(
    ("words", "interpreter", "kind", "program", "arguments"),
    [
        (["prog.py", "-S"], [], ProgramKind.SCRIPT, "prog.py", ["-S"]),
        (["-W", "error", "-Xdev", "-uB", "prog.py"], ["-W", "error", "-Xdev", "-uB"], ProgramKind.SCRIPT, "prog.py", []),
        (["-m", "package", "-I"], [], ProgramKind.MODULE, "package", ["-I"]),
        (["-Bmpackage", "a"], ["-B"], ProgramKind.MODULE, "package", ["a"]),
        (["-c", "pass", "-S"], [], ProgramKind.CODE, "pass", ["-S"]),
        (["-Bcpass"], ["-B"], ProgramKind.CODE, "pass", []),
        (["-u", "-", "a"], ["-u"], ProgramKind.INPUT, "-", ["a"]),
        ([], [], ProgramKind.INPUT, "-", []),
        (["--", "-dash.py", "a"], ["--"], ProgramKind.SCRIPT, "-dash.py", ["a"]),
        (["--", "-"], ["--"], ProgramKind.INPUT, "-", []),
        (
            ["--check-hash-based-pycs", "always", "prog.py"],
            ["--check-hash-based-pycs", "always"],
            ProgramKind.SCRIPT,
            "prog.py",
            [],
        ),
    ],
)
def test_options_program_and_arguments_are_told_apart(words, interpreter, kind, program, arguments):
    """The options of the interpreter end where its program begins."""
    command = parse_python_command(["python", *words])

    assert command.interpreter == ["python", *interpreter]
    assert (command.kind, command.program, command.arguments) == (kind, program, arguments)


def test_a_folder_is_an_archive(tmp_path):
    """Its program is the `__main__` in it."""
    assert parse_python_command(["python", str(tmp_path)]).kind is ProgramKind.ARCHIVE


@pytest.mark.parametrize(("option", "skips"), [("-x", True), ("-ux", True), ("-u", False)])
def test_the_option_x_skips_the_first_line(option, skips):
    """It may be one of several letters."""
    assert parse_python_command(["python", option, "prog.py"]).skips_first_line == skips


@pytest.mark.parametrize("option", ["-V", "-uh", "--version", "--help-all", "-Z", "--unknown"])
def test_options_with_which_no_program_runs_are_refused(option):
    """The interpreter prints a text, or does not know the option."""
    with pytest.raises(NotPythonError, match="runs no program"):
        parse_python_command(["python", option, "prog.py"])


@pytest.mark.parametrize("option", ["-m", "-c", "-W", "-Bm"])
def test_an_option_without_its_value_is_an_error(option):
    """The message names the letter."""
    with pytest.raises(InstrumentError, match=f"-{option[-1]} needs a word after it"):
        parse_python_command(["python", option])


def test_letters_are_options_without_a_value():
    """Long options, and options with a value, are left out."""
    assert option_letters(["python", "-uI", "-Xdev", "-W", "error", "--check-hash-based-pycs", "-S"]) == "uIS"
