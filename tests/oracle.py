"""The oracle: runs programs under the standard library's `trace` and under `instrument`, and compares the outcomes.

Paths of programs come in, one Outcome for each goes out. Each program runs in a process of its own (oracle_driver.py).
"""

import dataclasses
import difflib
import os
import pathlib
import pickle
import re
import subprocess
import sys

import oracle_driver
from oracle_driver import is_tool

TESTS = pathlib.Path(__file__).resolve().parent
PROGRAMS = TESTS / "programs"
ROOT = TESTS.parent


@dataclasses.dataclass
class Outcome:
    """The observable results of one run of one program."""

    counts: dict = dataclasses.field(default_factory=dict)
    calledfuncs: dict = dataclasses.field(default_factory=dict)
    callers: dict = dataclasses.field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    status: object = None
    #: The audit events of `sys.settrace`, `sys.setprofile` and `sys.monitoring` that the run raised.
    tracers: tuple = ()


# -- programs --------------------------------------------------------------------------------------------------------


def programs():
    """Return the paths of all programs that this interpreter can run, in order of their names."""
    paths = [*PROGRAMS.glob("*.py"), *PROGRAMS.glob("*/main.py")]
    return [str(path) for path in sorted(paths) if required_version(path) <= sys.version_info[:2]]


def program_name(path):
    """Return the name of the program at *path*: of its file, or of its folder if the file is main.py."""
    path = pathlib.Path(path)
    return path.parent.name if path.name == "main.py" else path.stem


def required_version(path):
    """Return the oldest version that can run the program at *path*, as its first line says: `# requires: 3.12`."""
    first_line = pathlib.Path(path).read_bytes().split(b"\n", 1)[0]
    found = re.match(rb"# requires: (\d+)\.(\d+)", first_line)
    return (int(found[1]), int(found[2])) if found else (3, 11)


def expected_counts(path):
    """Return a dict from line to count that the comments of the program at *path* state; {} if there are none.

    A comment is `# 4`, or `# 1, from 3.12: 2` if versions differ: then the last version up to the running one holds.
    A count of 0 means that the line is not in the counts. A program with such comments has one on each counted line.
    """
    expected = {}
    lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        comment = re.search(r"# (\d+)((?:, from 3\.\d+: \d+)*)$", line)
        if comment:
            count = int(comment[1])
            for minor, later in re.findall(r", from 3\.(\d+): (\d+)", comment[2]):
                if sys.version_info >= (3, int(minor)):
                    count = int(later)
            expected[number] = count
    return {number: count for number, count in expected.items() if count}


# -- running ---------------------------------------------------------------------------------------------------------


def counts_by_trace(path, **arguments):
    """Return the Outcome of the program at *path* under the standard library's `trace.Trace(**arguments)`."""
    return run_programs([path], None, **arguments)[0]


def counts_by_instrument(path, placement="minimal", **arguments):
    """Return the Outcome of the program at *path* under `instrument.trace.Trace(**arguments)` with *placement*."""
    return run_programs([path], placement, **arguments)[0]


def run_programs(paths, placement=None, **arguments):
    """Return an Outcome for each of *paths*, in their order: under `trace` if *placement* is None, else `instrument`.

    *arguments* go to `Trace`. By default it counts lines and prints nothing. RuntimeError is raised if the driver fails.
    """
    arguments = {"count": 1, "trace": 0, **arguments}
    request = pickle.dumps(([str(path) for path in paths], placement, arguments))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run([sys.executable, oracle_driver.__file__], input=request, capture_output=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the driver ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return [Outcome(**fields) for fields in pickle.loads(done.stdout)]


# -- comparing -------------------------------------------------------------------------------------------------------


def is_own(name, path):
    """Return whether *name* is a file of the program at *path*, or a made-up name such as "<string>"."""
    path = pathlib.Path(path)
    own = str(path.parent) + os.sep if path.name == "main.py" else str(path)
    return name.startswith(own) or not (is_tool(name) or os.path.isabs(name))


def own_counts(outcome, path):
    """Return the counts of *outcome* in the files of the program at *path* and in code that has no file."""
    return {key: count for key, count in outcome.counts.items() if is_own(key[0], path)}


def all_counts(outcome):
    """Return the counts of *outcome* in all files but those of the tools."""
    return {key: count for key, count in outcome.counts.items() if not is_tool(key[0])}


def called_functions(outcome):
    """Return the functions called in *outcome*, but those of the tools."""
    return {function for function in outcome.calledfuncs if not is_tool(function[0])}


def calling_relationships(outcome):
    """Return the set of (caller, callee) of *outcome*. A caller in a tool gets the same name for both tools."""

    def plain(function):
        return ("<tool>", "", function[2]) if is_tool(function[0]) else function

    return {(plain(caller), plain(callee)) for caller, callee in outcome.callers if not is_tool(callee[0])}


def without_forgotten_classes(calls, other_calls):
    """Return *calls* of `trace`. Left out are callers without their class, if *other_calls* lack them.

    If two threads search for the class of a caller at once, `trace` also lists the caller without its class.
    """
    in_classes = {(caller[:2], caller[2].rpartition(".")[2], callee) for caller, callee in calls if "." in caller[2]}
    return {
        call for call in calls if call in other_calls or (call[0][:2], call[0][2], call[1]) not in in_classes
    }


def printed(outcome):
    """Return the lines that the program and `trace=1` printed, without those about frozen importlib."""
    lines = outcome.stdout.splitlines()
    return [line for line in lines if not line.startswith(("<frozen ", " --- modulename: _bootstrap"))]


def difference(expected, found, path=None):
    """Return a text that shows how *found* differs from *expected*, "" if they are equal.

    Counts are shown beside the source lines that they differ at, everything else as a unified diff.
    """
    if expected == found:
        return ""
    if not isinstance(expected, dict):
        before = expected if isinstance(expected, list) else sorted(map(repr, expected))
        after = found if isinstance(found, list) else sorted(map(repr, found))
        return "\n".join(difflib.unified_diff(before, after, "trace", "instrument", lineterm="", n=2))
    rows = []
    for name in sorted({name for name, _ in expected} | {name for name, _ in found}):
        try:
            lines = pathlib.Path(name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        keys = [key for key in {*expected, *found} if key[0] == name and expected.get(key) != found.get(key)]
        rows += [f"{name}", "  line  trace  instrument"] if keys else []
        for key in sorted(keys, key=lambda key: key[1]):
            source = lines[key[1] - 1] if 0 < key[1] <= len(lines) else ""
            rows.append(f"{key[1]:6} {expected.get(key, '-'):>6} {found.get(key, '-'):>11}  {source}")
    return "\n".join(rows)
