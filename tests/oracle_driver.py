"""Runs programs for tests/oracle.py, as a script: a request comes in on stdin, the outcomes go out on stdout.

Both tools are imported once, and each program runs in a fork of its own. So the same modules are imported under both
tools, and no program changes the state of another. Automatic garbage collection is off, because it would come at
another moment in each run. The script imports little, because a measurement instruments all existing functions.
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

#: A program that runs longer than this many seconds is killed, and its outcome says so. On a machine with ten other jobs
#: some programs of two seconds took more than a minute.
TIME_LIMIT = 300

#: A program that takes more bytes than this gets a MemoryError, so that an endless loop does not make the machine swap.
MEMORY_LIMIT = 2 << 30

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Counts of these files are never compared: the tools, this driver, their imports, and importlib, whose loaders differ.
TOOL_FILES = {os.path.abspath(__file__), trace.__file__}
TOOL_FOLDERS = (os.path.join(ROOT, "instrument", ""),)

#: Audit events of the interpreter's tracing facilities.
TRACING_EVENTS = {"sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"}


def is_tool(name):
    """Return whether the file called *name* belongs to a tool, to this driver, or to a module that they import."""
    return name in TOOL_FILES or name.startswith(("<frozen", *TOOL_FOLDERS)) or f"{os.sep}bytecode{os.sep}" in name


def drive():
    """Read a request, run its programs, and write their outcomes."""
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
    # The first traceback that is formatted imports modules. Import them here, before both tools begin.
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
    """Return the result of *function* in a forked child, or Outcome fields that say how the child died."""
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
    # A hook written in Python would be measured, and one that keeps its arguments would keep frames alive.
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
    """Return the traceback *chain* without its leading entries in files of the tools; None if no entry remains."""
    while chain is not None and is_tool(chain.tb_frame.f_code.co_filename):
        chain = chain.tb_next
    return chain


if __name__ == "__main__":
    drive()
