"""Asks an interpreter about itself: its version, its `sys.path`, and whether it can import this package.

Input: a `Launch`. Output: `InterpreterFacts`. The interpreter runs a short script, and never the program.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from instrument.config.project_file import VARIABLE
from instrument.diagnosis.python_arguments import option_letters
from instrument.errors import InstrumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.diagnosis.launch import Launch

#: Whether a process is measured depends on these options of one letter, so the interpreter gets them.
_DECISIVE = "EIPSs"
#: Seconds after which an interpreter has failed to answer.
_TIMEOUT = 30

_SCRIPT = """
import json, os, sys
def path_of(name):
    try:
        from importlib.util import find_spec
        spec = find_spec(name)
        return spec is not None and spec.origin
    except Exception:
        return None
folders = [entry for entry in sys.path if os.path.isdir(entry)]
safe_path = bool(getattr(sys.flags, "safe_path", False))
print("\\n" + json.dumps({
    "name": getattr(getattr(sys, "implementation", None), "name", "cpython"),
    "version": list(sys.version_info[:3]),
    "search_path": sys.path[not safe_path:], "safe_path": safe_path,  # the first entry exists only for code after -c
    "ignores_environment": bool(sys.flags.ignore_environment), "no_site": bool(sys.flags.no_site),
    "has_gil": not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled(),
    "start_files": [file for file in (os.path.join(entry, "instrument.pth") for entry in folders)
                    if os.path.isfile(file)],
    "has_package": bool(path_of("instrument")), "has_bytecode": bool(path_of("bytecode")),
}))
"""


@dataclass(frozen=True)
class InterpreterFacts:
    """The answer of one interpreter.

    - `name`: the implementation, for example "cpython". `version` is its number, three integers.
    - `search_path`: its `sys.path`, without the entry for the folder of the program.
    - `safe_path`, `ignores_environment`, `no_site`: whether these of its `sys.flags` are set.
    - `has_gil`: whether its threads share the GIL.
    - `start_files`: the paths of this package's start-up file, `instrument.pth`, in the folders of its `sys.path`.
    - `has_package`, `has_bytecode`: whether it can import `instrument`, and the package `bytecode`.
    """

    name: str
    version: list[int]
    search_path: list[str]
    safe_path: bool
    ignores_environment: bool
    no_site: bool
    has_gil: bool
    start_files: list[str]
    has_package: bool
    has_bytecode: bool


def facts_of_interpreter(launch: Launch) -> InterpreterFacts:
    """Return the facts of the interpreter of *launch*, with its options. Raise InstrumentError if it gives none."""
    letters = option_letters(launch.command.interpreter)
    options = [f"-{letter}" for letter in _DECISIVE if letter in letters]
    environment = {name: value for name, value in launch.environment.items() if name != VARIABLE}
    try:
        finished = subprocess.run(
            [launch.python, *options, "-c", _SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if finished.stdout.strip():
            return InterpreterFacts(**json.loads(finished.stdout.splitlines()[-1]))
        lines = [line for line in finished.stderr.splitlines() if line.strip()]
        lines = [line for line in lines if "rror: " in line] or lines
        reason = lines[-1].strip() if lines else f"it printed nothing, exit status {finished.returncode}"
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
        reason = f"{error}"
    raise InstrumentError(f"{launch.python} does not answer as a Python: {reason}")
