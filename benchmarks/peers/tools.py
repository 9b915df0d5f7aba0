"""The tools that programs run under: none, `instrument`, and its peers.

A tool is made in the process that is timed, before the program is imported. It runs a source text, and then returns the
lines in scope that it recorded, with counts if it counts. All tools have the same scope, a list of directories. Each
tool ignores all other files in its own way.

The process that compares reads the table TOOLS, too. So a peer is imported when a tool is made, not before.
"""

import collections
import gc
import importlib
import os
import sys
import types
import warnings
from dataclasses import dataclass, field


class Plain:
    """Runs source text as it is; the base of the other tools. *scope* and *ignore*: directories."""

    def __init__(self, scope, ignore):
        self.scope = [os.path.join(path, "") for path in scope]
        self.ignore = ignore

    def has(self, file):
        """Return whether *file* is in scope."""
        return file.startswith(tuple(self.scope))

    def run(self, source, file, namespace):
        exec(compile(source, file, "exec", dont_inherit=True), namespace)

    def imported(self):
        """Prepare for the program's work, after its import."""

    def lines(self):
        """Return {file: {line: count}} of the files in scope; counts of a tool that does not count are 1."""
        return {}


class Counting(Plain):
    """The Trace of *module*, `trace` or `instrument.trace`; *options*: further arguments."""

    def __init__(self, scope, ignore, *, module, **options):
        super().__init__(scope, ignore)
        self.trace = importlib.import_module(module).Trace(count=1, trace=0, ignoredirs=ignore, **options)

    def run(self, source, file, namespace):
        self.trace.runctx(compile(source, file, "exec", dont_inherit=True), namespace, namespace)

    def lines(self):
        found = collections.defaultdict(dict)
        for (file, line), count in self.trace.results().counts.items():
            if self.has(file):
                found[file][line] = count
        return found


class LineProfiler(Plain):
    """line_profiler on all functions in scope that exist once the program is imported."""

    def __init__(self, scope, ignore):
        super().__init__(scope, ignore)
        self.profiler = importlib.import_module("line_profiler").LineProfiler()

    def imported(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of functions that wrap others: both are added
            for thing in gc.get_objects():
                if type(thing) is types.FunctionType and self.has(thing.__code__.co_filename):
                    self.profiler.add_function(thing)
        self.profiler.enable_by_count()

    def run(self, source, file, namespace):
        try:
            super().run(source, file, namespace)
        finally:
            self.profiler.disable_by_count()

    def lines(self):
        found = collections.defaultdict(dict)
        for (file, _, _), timings in self.profiler.get_stats().timings.items():
            for line, count, _ in timings:
                found[file][line] = found[file].get(line, 0) + count
        return found


class Monitoring(Plain):
    """sys.monitoring with a callback in Python that counts each line: the obvious way to count exactly since 3.12."""

    def __init__(self, scope, ignore):
        super().__init__(scope, ignore)
        has = self.has

        class Files(dict):
            def __missing__(self, file):
                self[file] = collections.defaultdict(int) if has(file) else None
                return self[file]

        self.files = files = Files()
        disable = sys.monitoring.DISABLE

        def count(code, line):
            lines = files[code.co_filename]
            if lines is None:
                return disable
            lines[line] += 1
            return None

        self.count = count

    def run(self, source, file, namespace):
        monitoring = sys.monitoring
        identity, line = monitoring.PROFILER_ID, monitoring.events.LINE
        monitoring.use_tool_id(identity, "count lines")
        monitoring.register_callback(identity, line, self.count)
        monitoring.set_events(identity, line)
        try:
            super().run(source, file, namespace)
        finally:
            monitoring.free_tool_id(identity)

    def lines(self):
        return {file: lines for file, lines in self.files.items() if lines}


class Coverage(Plain):
    """coverage.py; the environment variable COVERAGE_CORE, set by who starts us, chooses the core named *core*."""

    def __init__(self, scope, ignore, *, core):
        super().__init__(scope, ignore)
        coverage = importlib.import_module("coverage")
        patterns = [path + "*" for path in self.scope]
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=patterns)
        self.core = core

    def run(self, source, file, namespace):
        self.coverage.start()
        try:
            if (found := dict(self.coverage.sys_info()).get("core")) != self.core:
                raise RuntimeError(f"coverage chose the core {found}, not {self.core}")
            super().run(source, file, namespace)
        finally:
            self.coverage.stop()

    def lines(self):
        data = self.coverage.get_data()
        return {file: dict.fromkeys(data.lines(file), 1) for file in data.measured_files()}


class Slipcover(Plain):
    """slipcover, as its command line sets it up; *branch*: with branches."""

    def __init__(self, scope, ignore, *, branch):
        super().__init__(scope, ignore)
        self.module = importlib.import_module("slipcover")
        self.slipcover = self.module.Slipcover(branch=branch, source=scope)
        self.matcher = self.module.FileMatcher(sources=scope)
        self.module.wrap_spec_from_file_location(self.slipcover, self.matcher)

    def run(self, source, file, namespace):
        if self.has(file):
            if self.slipcover.branch:
                source = importlib.import_module("slipcover.branch").preinstrument(
                    importlib.import_module("ast").parse(source))
            code = self.slipcover.instrument(compile(source, file, "exec", dont_inherit=True))
        else:
            code = compile(source, file, "exec", dont_inherit=True)
        with self.module.ImportManager(self.slipcover, self.matcher):
            exec(code, namespace)

    def lines(self):
        found = self.slipcover.get_coverage()["files"]
        return {os.path.abspath(file): dict.fromkeys(told["executed_lines"], 1) for file, told in found.items()}


@dataclass(frozen=True)
class Tool:
    """A row of the table below."""

    title: str  # the head of a column
    make: type  # the class, called with scope, ignore and *options*
    records: str  # "counts", "branches" or "lines"
    options: dict = field(default_factory=dict)
    package: str = ""  # the package that must be installed
    environment: dict = field(default_factory=dict)
    since: tuple = (3, 11)
    slow: bool = False  # so slow that it gets a share of the loops, and a plain run of its own with as many
    exact: bool = False  # its counts must be those of trace, to the last one
    groups: tuple = ("micro", "programs", "libraries", "suites", "growth")
    functions_only: bool = False  # sees no code of modules and classes
    cold: bool = False  # with an empty cache each time, and once only


OURS = {"module": "instrument.trace"}

TOOLS = {
    "plain": Tool("plain", Plain, "nothing"),
    "minimal": Tool("instrument", Counting, "counts", {**OURS, "placement": "minimal"}, exact=True),
    "line": Tool("instrument line", Counting, "counts", {**OURS, "placement": "line"}, exact=True),
    "cold": Tool("instrument cold", Counting, "counts", {**OURS, "placement": "minimal"}, exact=True, cold=True,
                 groups=("suites",)),
    "trace": Tool("trace", Counting, "counts", {"module": "trace"}, slow=True, exact=True),
    "line_profiler": Tool("line_profiler", LineProfiler, "counts", package="line_profiler", slow=True,
                          functions_only=True, groups=("micro", "programs", "libraries")),
    "monitoring": Tool("monitoring count", Monitoring, "counts", since=(3, 12), slow=True),
    "ctrace": Tool("coverage ctrace", Coverage, "lines", {"core": "CTracer"}, package="coverage",
                   environment={"COVERAGE_CORE": "ctrace"}),
    "sysmon": Tool("coverage sysmon", Coverage, "lines", {"core": "SysMonitor"}, package="coverage",
                   environment={"COVERAGE_CORE": "sysmon"}, since=(3, 12)),
    "slipcover": Tool("slipcover", Slipcover, "lines", {"branch": False}, package="slipcover"),
    "slipcover_branch": Tool("slipcover branch", Slipcover, "branches", {"branch": True}, package="slipcover"),
}


def make(name, scope, ignore):
    """Return the tool called *name*, ready to run a program in *scope*."""
    tool = TOOLS[name]
    return tool.make(scope, ignore, **tool.options)
