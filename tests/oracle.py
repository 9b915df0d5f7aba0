"""The oracle: run a program under the standard library's `trace` and under `instrument`, and say where they differ.

Paths of programs come in, one Outcome for each goes out. Every program runs in a process of its own: a driver (this
file, started as a script) imports both tools once and forks for each program, so that both tools find the same modules
already imported, and no program sees what another left behind. Hashes are seeded and automatic garbage collection is
off, because either would let a program take another path in the second run.
"""

import dataclasses
import difflib
import gc
import io
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import threading
import trace
import traceback
import types

TESTS = pathlib.Path(__file__).resolve().parent
PROGRAMS = TESTS / "programs"
ROOT = TESTS.parent

#: A program that runs longer than this many seconds is killed, and its outcome says so.
TIME_LIMIT = 60


@dataclasses.dataclass
class Outcome:
    """All that one run of one program shows to the outside."""

    counts: dict = dataclasses.field(default_factory=dict)
    calledfuncs: dict = dataclasses.field(default_factory=dict)
    callers: dict = dataclasses.field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    status: object = None
    #: Calls of sys.settrace or sys.setprofile that come from the `instrument` package itself.
    tracers: tuple = ()


# -- programs --------------------------------------------------------------------------------------------------------


def programs():
    """Return the paths of all programs that this interpreter can run, in order of their names."""
    paths = [*PROGRAMS.glob("*.py"), *PROGRAMS.glob("*/main.py")]
    return [str(path) for path in sorted(paths) if required_version(path) <= sys.version_info[:2]]


def program_name(path):
    """Return the shape that the program at *path* is named for."""
    path = pathlib.Path(path)
    return path.parent.name if path.name == "main.py" else path.stem


def required_version(path):
    """Return the oldest Python that can run the program at *path*: its first line may say `# requires: 3.12`."""
    first_line = pathlib.Path(path).read_bytes().split(b"\n", 1)[0]
    found = re.match(rb"# requires: (\d+)\.(\d+)", first_line)
    return (int(found[1]), int(found[2])) if found else (3, 11)


def expected_counts(path):
    """Return line → count as the trailing comments of the program at *path* state it, or {} if it states none.

    A comment is `# 4`, or `# 1, from 3.12: 2` where versions differ; the last version not newer than the running one
    holds, and a count of 0 means that the line is not in the counts. A program with such comments states all its lines.
    """
    expected = {}
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        found = re.search(r"# (\d+)((?:, from 3\.\d+: \d+)*)$", line)
        if found:
            count = int(found[1])
            for minor, later in re.findall(r", from 3\.(\d+): (\d+)", found[2]):
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

    *arguments* go to `Trace`; those left out count lines and print nothing.
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
    done = subprocess.run([sys.executable, __file__], input=request, capture_output=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"the driver ended with {done.returncode}:\n{done.stderr.decode(errors='replace')}")
    return [Outcome(**fields) for fields in pickle.loads(done.stdout)]


# -- comparing -------------------------------------------------------------------------------------------------------


def own_counts(outcome, path):
    """Return the counts of *outcome* in the files of the program at *path* and in code that has no file."""
    path = pathlib.Path(path)
    own = str(path.parent) + os.sep if path.name == "main.py" else str(path)
    return {
        (name, line): count
        for (name, line), count in outcome.counts.items()
        if name.startswith(own) or not (is_tool(name) or os.path.isabs(name))
    }


def all_counts(outcome):
    """Return the counts of *outcome* in every file but the tools' own, the standard library included."""
    return {key: count for key, count in outcome.counts.items() if not is_tool(key[0])}


def called_functions(outcome):
    """Return the functions called in *outcome*, the tools' own left out."""
    return {function for function in outcome.calledfuncs if not is_tool(function[0])}


def calling_relationships(outcome):
    """Return the calls of *outcome*; a caller that is part of a tool has the same name for both tools."""

    def plain(function):
        return ("<tool>", "", function[2]) if is_tool(function[0]) else function

    return {(plain(caller), plain(callee)) for caller, callee in outcome.callers if not is_tool(callee[0])}


def printed(outcome):
    """Return the lines that the program and `trace=1` printed, without those about frozen modules."""
    lines = outcome.stdout.splitlines()
    return [line for line in lines if not line.startswith(("<frozen ", " --- modulename: <frozen "))]


def is_tool(name):
    """Tell whether the file called *name* belongs to one of the two tools, to this driver or to what they need."""
    return name in TOOL_FILES or name.startswith(("<frozen", *TOOL_FOLDERS))


def difference(expected, found, path=None):
    """Return a text that shows how *found* differs from *expected*, or "" if it does not.

    Dictionaries of counts are shown beside the source lines where the two differ; everything else as a diff.
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


def _tool_folders():
    """Return the folders whose files are never compared, with a closing separator each."""
    folders = [ROOT / "instrument"]
    try:
        import bytecode
    except ImportError:
        pass
    else:
        folders.append(pathlib.Path(bytecode.__file__).parent)
    return tuple(str(folder) + os.sep for folder in folders)


TOOL_FILES = {__file__, str(TESTS / "oracle.py"), trace.__file__}
TOOL_FOLDERS = _tool_folders()


# -- the driver ------------------------------------------------------------------------------------------------------


def drive():
    """Read a request from stdin, run its programs, each in a fork, and write the outcomes to stdout."""
    paths, placement, arguments = pickle.loads(sys.stdin.buffer.read())
    try:
        import instrument.trace as instrument_trace
    except ImportError:
        if placement is not None:
            raise
    if placement is None:
        make_tracer = trace.Trace
    else:
        make_tracer = instrument_trace.Trace
        arguments = {**arguments, "placement": placement}
    # Formatting a traceback imports modules at its first use; both tools shall find them imported.
    try:
        raise ValueError
    except ValueError:
        traceback.format_exc()
    outcomes = [_in_child(_outcome, path, make_tracer, arguments) for path in paths]
    sys.stdout.buffer.write(pickle.dumps(outcomes))


def _in_child(function, *arguments):
    """Return what *function* returns in a forked child, or the fields of an Outcome that says how the child died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.alarm(TIME_LIMIT)
        try:
            answer = function(*arguments)
        except BaseException:
            answer = {"status": "the driver failed", "stderr": traceback.format_exc()}
        with open(writer, "wb") as stream:
            stream.write(pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(pid, 0)
    if status or not answer:
        return {"status": f"killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"died: {status}"}
    return pickle.loads(answer)


def _outcome(path, make_tracer, arguments):
    """Run the program at *path* under `make_tracer(**arguments)` and return the fields of its Outcome."""
    with open(path, "rb") as stream:
        code = compile(stream.read(), path, "exec", dont_inherit=True)
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    sys.argv = [path]
    sys.path[0] = os.path.dirname(path)
    sys.stdin = open(os.devnull)
    sys.stdout, sys.stderr = stdout, stderr = io.StringIO(), io.StringIO()
    tracers = []

    def audit(event, _):
        if event in ("sys.settrace", "sys.setprofile"):
            caller = sys._getframe(1).f_code.co_filename
            if caller.startswith(TOOL_FOLDERS):
                tracers.append((event, caller))

    sys.addaudithook(audit)
    gc.collect()
    gc.disable()
    tracer = make_tracer(**arguments)
    status = 0
    try:
        tracer.runctx(code, module.__dict__, module.__dict__)
    except SystemExit as leaving:
        status = leaving.code
    except BaseException as error:
        status = 1
        error.__traceback__ = _without_tools(error.__traceback__)
        stderr.write("".join(traceback.format_exception(error)))
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    results = tracer.results()
    return {
        "counts": dict(results.counts),
        "calledfuncs": dict(results.calledfuncs),
        "callers": dict(results.callers),
        "stdout": stdout.getvalue(),
        "stderr": stderr.getvalue(),
        "status": status if isinstance(status, (int, str, type(None))) else repr(status),
        "tracers": tuple(tracers),
    }


def _without_tools(chain):
    """Return the traceback *chain* from its first entry on that belongs to the program."""
    while chain is not None and is_tool(chain.tb_frame.f_code.co_filename):
        chain = chain.tb_next
    return chain


if __name__ == "__main__":
    drive()
