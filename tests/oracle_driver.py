"""Runs programs for tests/oracle.py, started as a script: a request comes in on stdin, the outcomes go out on stdout.

Both tools are imported once, and each program runs in a fork: so both tools find the same modules already imported, and
no program sees what another left behind. Automatic garbage collection is off: it would let a program take another
path in the second run. Little else is imported here, for `instrument` prepares every function that exists when a
measurement starts; it does so once, before the first fork.
"""

import faulthandler
import gc
import io
import os
import pickle
import resource
import sys
import threading
import trace
import traceback
import types

#: A program that runs longer than this many seconds is killed, and its outcome says so.
TIME_LIMIT = 60

#: A program that takes more memory than this many bytes meets MemoryError; a loop without end is no reason to swap.
MEMORY_LIMIT = 2 << 30

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# What is never compared: the tools and this driver, what they need, and importlib, whose loaders differ.
TOOL_FILES = {os.path.abspath(__file__), trace.__file__}
TOOL_FOLDERS = (os.path.join(ROOT, "instrument", ""),)

#: Audit events of the interpreter's own means of watching a program.
TRACING_EVENTS = {"sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"}


def is_tool(name):
    """Tell whether the file called *name* belongs to one of the two tools, to this driver or to what they need."""
    return name in TOOL_FILES or name.startswith(("<frozen", *TOOL_FOLDERS)) or f"{os.sep}bytecode{os.sep}" in name


def drive():
    """Read a request, run its programs, write their outcomes."""
    paths, placement, arguments = pickle.loads(sys.stdin.buffer.read())
    try:
        from instrument.trace import Trace
    except ImportError:
        if placement is not None:
            raise
    if placement is None:
        make_tracer = trace.Trace
    else:
        make_tracer = Trace
        arguments = {**arguments, "placement": placement}
    # Formatting a traceback imports modules at its first use; both tools shall find them imported.
    try:
        raise ValueError
    except ValueError:
        traceback.format_exc()
    make_tracer(**arguments).runctx("", {}, {})
    gc.collect()
    gc.disable()
    outcomes = [_in_child(_outcome, path, make_tracer, arguments) for path in paths]
    sys.stdout.buffer.write(pickle.dumps(outcomes))


def _in_child(function, *arguments):
    """Return what *function* returns in a forked child, or the fields of an Outcome that says how the child died."""
    reader, writer = os.pipe()
    stack_reader, stack_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.close(stack_reader)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        faulthandler.enable(stack_writer)
        faulthandler.dump_traceback_later(TIME_LIMIT, file=stack_writer, exit=True)
        try:
            answer = function(*arguments)
        except BaseException:
            answer = {"status": "the driver failed", "stderr": traceback.format_exc()}
        with open(writer, "wb") as stream:
            stream.write(pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    os.close(stack_writer)
    with open(reader, "rb") as stream, open(stack_reader, "rb") as stack_stream:
        answer = stream.read()
        stack = stack_stream.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    if status or not answer:
        died = f"killed by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"out of time: {status}"
        return {"status": died, "stderr": stack}
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
    # A hook written in Python would itself be measured, and one that keeps what it gets would keep frames alive.
    unset = dict.fromkeys(TRACING_EVENTS)
    sys.addaudithook(unset.pop)
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
        "tracers": tuple(sorted(TRACING_EVENTS - unset.keys())),
    }


def _without_tools(chain):
    """Return the traceback *chain* from its first entry on that belongs to the program."""
    while chain is not None and is_tool(chain.tb_frame.f_code.co_filename):
        chain = chain.tb_next
    return chain


if __name__ == "__main__":
    drive()
