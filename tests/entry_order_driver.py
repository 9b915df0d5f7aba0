"""Runs modules of the same name for tests/trace_runs/test_choice.py, as a script: examples come in, counts go out.

An example is a pickled (before, steps) on stdin: the modules that are loaded before the run, and the steps of the run.
The answer is the pickled list of the counts under the standard library's Trace and under instrument's. The arguments are
the folder with the modules, and the text of each module.

This is no part of the pytest process: each run prepares every existing function of an `__init__` module. All packages of
pytest and of Hypothesis have some.
"""

import contextlib
import gc
import os
import sys
import trace

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from drivers import serve
from tracers import STDLIB, load

import instrument


def counts_of(kind, folder, text, before, steps):
    """Return the counts of a run of *steps* under the Trace *kind*, with the modules *before* loaded."""

    def path_of(module):
        place, name = module
        return os.path.join(folder, place, f"{name}.py")

    def run():
        for how, module, other in steps:
            if how == "load":
                loaded[module] = load(path_of(module))
            elif how == "execute":
                file = path_of(module)
                exec(compile(text, file, "exec"), {"__file__": file})
            elif module in loaded and how == "throw":
                with contextlib.suppress(ValueError):
                    loaded[module].g().throw(ValueError)
            elif module in loaded and other is not None:
                loaded[module].f(loaded[other].f if other in loaded else lambda: load(path_of(other)))
            elif module in loaded:
                loaded[module].f()

    gc.collect()  # else the run instruments the functions of earlier examples, too
    loaded = {module: load(path_of(module)) for module in sorted(before)}
    tracer = kind(count=1, trace=0, ignoredirs=[*STDLIB, os.path.join(folder, "ignored")])
    tracer.runfunc(run)
    return {place: n for place, n in tracer.results().counts.items() if place[0].startswith(folder)}


def drive(folder, text):
    """Answer each example with its counts."""
    sys.path.append(os.path.join(folder, "measured"))
    serve(lambda *example: [counts_of(kind, folder, text, *example) for kind in (trace.Trace, instrument.Trace)])


if __name__ == "__main__":
    drive(*sys.argv[1:])
