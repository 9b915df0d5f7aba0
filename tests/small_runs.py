"""Runs small programs under a tracer; tests of sessions and of runs share this."""

import contextlib
import io
import sys
import types

#: The source file, and the `__file__`, of the program that is run.
FILE = "/somewhere/session_program.py"
#: Directories that tracers ignore: the standard library and the installed packages.
IGNORED = [sys.prefix, sys.base_prefix]


def counts_of(make_tracer, source, **names):
    """Run *source* under a tracer; return its counts by file and line, and the namespace that it leaves.

    *names* are in the namespace from the beginning.
    """
    tracer = make_tracer(count=1, trace=0, ignoredirs=IGNORED)
    namespace = {"__file__": FILE, "__name__": "program", **names}
    tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
    counts = tracer.results().counts
    return {key: n for key, n in counts.items() if key[0] in (FILE, "<string>")}, namespace


def execute(code, run):
    """Have *run* execute *code* as a module, without its output and exceptions."""
    module = types.ModuleType("program")
    vars(module).update(__name__="program", __file__=code.co_filename)
    sys.modules["program"] = module
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            run(code, vars(module))
    finally:
        del sys.modules["program"]


def added_lines(code_counts):
    """Return the sums by line of *code_counts*, tuples whose last item is a Counts."""
    lines = {}
    for *_, counts in code_counts:
        for line, n in counts.lines.items():
            lines[line] = lines.get(line, 0) + n
    return lines
