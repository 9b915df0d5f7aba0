"""Runs modules for tests/test_generated_runs.py, as a script: reads examples from stdin, writes their counts to stdout.

An example is a pickled (before, runs): the modules that are loaded first, and the steps of each run. The answer is the
pickled list of the counts under the standard library's Trace and under instrument's. All examples run in this process,
one after the other, so code and functions of one example are still there in the next.

This is no part of the pytest process, because each run instruments all existing functions: those of pytest, Hypothesis
and other tests took nearly all of the time.
"""

import contextlib
import gc
import importlib
import importlib.util
import os
import pathlib
import runpy
import sys
import sysconfig
import threading
import trace
import types

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from drivers import serve

import instrument

STDLIB = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix, sys.base_prefix]
PLACES = ("measured_too", "measured", "ignored")
#: No module of the standard library has such a name: its functions would decide whether these are ignored (README, Limits).
NAMES = ("common_name", "other_name", "__init__")
TEXT = """\
import contextlib, dataclasses, functools
x = 1
class C:
    def m(self, a=1):
        return a + x
    @property
    def p(self):
        return self.m()
def loop(n=1):
    t = 0
    for i in range(n):
        t += C().p
    return t
def generate(n=3):
    try:
        for i in range(n):
            yield i
    finally:
        short()
def short(n=0):
    return [k for k in range(2) if k]
def catch(n=1):
    try:
        if n % 2:
            raise ValueError(n)
        return loop(n)
    except ValueError:
        return eval("x + 1")
    finally:
        short()
def execute(n=1):
    exec("def inner(a):\\n    return a + x\\n", globals())
    return inner(n)
def execute_without_file(n=1):
    exec("def inner():\\n    return short(1)\\ninner()", {"short": short})
def fail(n=1):
    raise KeyError(n)
def call(function, n=1):
    return function(n)
@contextlib.contextmanager
def managed(n):
    try:
        yield n
    finally:
        short()
@functools.lru_cache
def manage(n=1):
    with managed(n) as k:
        return k
def make(n=1):
    @dataclasses.dataclass
    class D:
        a: int = 1
    return D(n) == D(1)
def close_over(n=1):
    return lambda k: k + n
"""
FUNCTIONS = ("loop", "short", "catch", "execute", "execute_without_file", "fail", "manage", "make")
ACTIONS = ("load", "import", "reload", "compile", "run", "call", "call", "call", "cross", "borrow", "thread")
ACTIONS += ("begin", "resume", "close_over", "use", "read")


class Process:
    """Executes steps with modules below *folder*, in the same way under either kind of Trace."""

    def __init__(self, folder):
        self.folder = folder
        self.modules = {}
        self.generators = []
        self.closures = []
        self.tracer = None

    def path(self, module):
        place, inner, name = module
        return str(self.folder / place / inner / f"{name}.py")

    def load(self, module):
        spec = importlib.util.spec_from_file_location("_".join(module), self.path(module))
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        self.modules[module] = loaded

    def import_(self, module):
        name = ".".join(part for part in module if part not in ("", "__init__"))
        self.modules[module] = importlib.import_module(name)

    def step(self, action, module, other, function, n):
        if action == "load":
            self.load(module)
        elif action == "import":
            self.import_(module)
        elif action == "run":
            runpy.run_path(self.path(module))
        elif action == "compile":
            loaded = types.ModuleType("compiled")
            loaded.__file__ = self.path(module)
            exec(compile(TEXT, loaded.__file__, "exec"), vars(loaded))
            self.modules[module] = loaded
        elif action == "use" and self.closures:
            self.closures[n % len(self.closures)](n)
        elif action == "resume" and self.generators:
            generator = self.generators[n % len(self.generators)]
            (generator.throw(ValueError(n)) if n == 3 else next(generator)) if n else generator.close()
        elif action == "read":
            self.tracer.results()
        elif module in self.modules:
            self.in_module(action, self.modules[module], self.modules.get(other), function, n)

    def in_module(self, action, loaded, other, function, n):
        if action == "call":
            getattr(loaded, function)(n)
        elif action == "begin":
            self.generators.append(loaded.generate(n))
        elif action == "close_over":
            self.closures.append(loaded.close_over(n))
        elif action == "thread":
            thread = threading.Thread(target=loaded.catch, args=(n,))
            thread.start()
            thread.join()
        elif action == "reload" and sys.modules.get(loaded.__name__) is loaded:
            importlib.reload(loaded)
        elif action == "cross" and other is not None:
            loaded.call(getattr(other, function), n)
        elif action == "borrow" and other is not None:
            types.FunctionType(loaded.short.__code__, vars(other))(n)

    def run(self, steps):
        for step in steps:
            with contextlib.suppress(KeyError, ValueError, StopIteration):
                self.step(*step)

    def counts(self, kind, before, runs):
        """Return a list with the counts of each of *runs*, after the modules *before* were loaded."""
        counts = []
        tracers = []
        for module, is_imported in before:
            (self.import_ if is_imported else self.load)(module)
        for ignores, names, which, steps in runs:
            if tracers and which >= 0:
                self.tracer = tracers[which % len(tracers)]
            else:
                folders = [*STDLIB, str(self.folder / "ignored")] if ignores else STDLIB
                self.tracer = kind(count=1, trace=0, ignoremods=names, ignoredirs=folders)
                tracers.append(self.tracer)
            self.tracer.runctx("run(steps)", {"run": self.run, "steps": steps}, {})
            for generator in self.generators:  # a generator that was suspended when a run began is not counted in it
                with contextlib.suppress(ValueError):
                    generator.close()
            results = self.tracer.results().counts
            counts.append({k: n for k, n in results.items() if k[0] == "<string>" or k[0].startswith(str(self.folder))})
            self.generators.clear()
        return counts


def write_modules(folder):
    """Write the modules to *folder*, and have them found by imports."""
    for place in PLACES:
        for inner in ("", "sub"):
            (folder / place / inner).mkdir()
            for name in NAMES:
                (folder / place / inner / f"{name}.py").write_text(TEXT)
    sys.path.insert(0, str(folder))
    runpy.run_path(str(folder / PLACES[0] / f"{NAMES[0]}.py"))  # its imports run once here, before all counted runs


def drive(folder):
    """Answer each example with its counts."""
    write_modules(folder)

    def counts_of(before, runs):
        counts = []
        gc.collect()  # else each run instruments the functions of earlier examples, too
        for kind in (trace.Trace, instrument.Trace):
            for name in [name for name in sys.modules if name.partition(".")[0] in PLACES]:
                del sys.modules[name]
            importlib.invalidate_caches()
            counts.append(Process(folder).counts(kind, before, runs))
        return counts

    serve(counts_of)


if __name__ == "__main__":
    drive(pathlib.Path(sys.argv[1]))
