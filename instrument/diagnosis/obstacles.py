"""Finds out why a process is not counted, or why its counts are not saved.

Input: a `Launch` with the facts of its interpreter, or the path of a data folder. Output: a reason in words; an empty
text if there is none.
"""

from __future__ import annotations

import os

from instrument.config import is_on
from instrument.config.project_file import VARIABLE
from instrument.decode.versions import SUPPORTED_VERSIONS
from instrument.diagnosis.interpreters import BOOTSTRAP
from instrument.diagnosis.other_programs import START_FROM_CODE
from instrument.diagnosis.python_arguments import ProgramKind, option_letters
from instrument.guest.trusted_files import objection_to_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from instrument.diagnosis.interpreter_facts import InterpreterFacts
    from instrument.diagnosis.launch import Launch

_PACKAGE = os.path.dirname(BOOTSTRAP)


def why_not_counted(launch: Launch, facts: InterpreterFacts) -> str:
    """Return why the process of *launch* is not counted; "" if it is. *facts* are those of its interpreter."""
    return (
        _why_interpreter_cannot(launch, facts)
        or _why_no_start(launch, facts)
        or _why_turned_off(launch)
        or _why_import_fails(launch, facts)
    )


def _why_interpreter_cannot(launch: Launch, facts: InterpreterFacts) -> str:
    """Return why the version or the options of the interpreter prevent counting; "" if they do not."""
    version = tuple(facts.version[:2])
    if facts.name != "cpython" or version not in SUPPORTED_VERSIONS:
        first, last = (".".join(map(str, each)) for each in (SUPPORTED_VERSIONS[0], SUPPORTED_VERSIONS[-1]))
        return f"instrument supports CPython {first} to {last}"
    if facts.ignores_environment:
        option = "-I" if "I" in option_letters(launch.command.interpreter) else "-E"
        return f"with {option} the interpreter ignores environment variables, also {VARIABLE}; {START_FROM_CODE}"
    if facts.no_site:
        return f"-S leaves out the site module, which executes the start-up file; {START_FROM_CODE}"
    return ""


def _why_no_start(launch: Launch, facts: InterpreterFacts) -> str:
    """Return why no start-up file is executed; "" if one is, or if something stands in for it."""
    if facts.start_files or launch.is_by_run or has_bootstrap(launch.environment):
        return ""
    if not facts.has_package:
        return f"instrument is not installed for {launch.python}; install it there"
    return f"there is no start-up file for {launch.python}; install the package, or use `instrument run`"


def _why_turned_off(launch: Launch) -> str:
    """Return why the environment does not turn counting on; "" if it does."""
    if launch.is_by_run or is_on(launch.environment):
        return ""
    value = launch.environment.get(VARIABLE)
    state = "is not set" if value is None else f"is {value!r}, which turns counting off"
    return f"{VARIABLE} {state}; set {VARIABLE}=1, because everything else is ready"


def _why_import_fails(launch: Launch, facts: InterpreterFacts) -> str:
    """Return why the start-up file cannot import this package; "" if it can."""
    if facts.start_files and not (facts.has_package and facts.has_bytecode):
        missing = "instrument" if not facts.has_package else "bytecode"
        return f"the start-up file exists, but {launch.python} cannot import {missing}; install instrument again"
    folder = "" if facts.safe_path else _folder_of_main_program(launch)
    if folder:
        for name in ("instrument.py", os.path.join("instrument", "__init__.py")):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.samefile(os.path.dirname(path), _PACKAGE):
                return f"the program's own {path} has the name of this package; rename it (README, limit own-name)"
    return ""


def has_bootstrap(environment: Mapping[str, str]) -> bool:
    """Return whether PYTHONPATH in *environment* has the folder that stands in for a start-up file."""
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    return any(os.path.basename(entry) == "bootstrap" and _starts_us(entry) for entry in entries)


def _starts_us(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "sitecustomize.py"), encoding="utf-8") as file:
            return "instrument.startup" in file.read()
    except (OSError, ValueError):
        return False


def _folder_of_main_program(launch: Launch) -> str:
    """Return the folder that comes first in `sys.path` of *launch*; "" for an archive that is no folder."""
    command = launch.command
    if command.kind is ProgramKind.ARCHIVE:
        return command.program if os.path.isdir(command.program) else ""
    if command.kind is ProgramKind.SCRIPT:
        return os.path.dirname(os.path.realpath(command.program))
    return os.getcwd()


def why_not_saved(directory: str, *, shared: bool) -> str:
    """Return why a process would save no counts to the folder *directory*; "" if it would.

    With *shared* other users may own the folder or write to it.
    """
    try:
        existing, exists = directory, os.path.lexists(directory)
        while not os.path.lexists(existing):
            existing = os.path.dirname(existing)
        if not os.path.isdir(existing):
            return f"{existing} is no folder"
        if not os.access(existing, os.W_OK | os.X_OK):
            return f"this user cannot write to {existing}"
        # The process creates a missing folder for this user alone, so only the folders above it matter then.
        objection = "" if shared else objection_to_folder(existing, lenient=True, parents_only=not exists)
    except OSError as error:
        return f"{directory} cannot be examined: {error.strerror or error}"
    return f"{objection} (INSTRUMENT_SHARED=1 allows that)" if objection else ""
