"""Rewritten code that runs: placeholders are filled with counters, nested code objects and all.

A code object and a placement go in, code with counters goes out. Done here once more, and plainly, so that the rewriter
is tested without what runs above it.
"""

import collections
import contextlib
import itertools
import sys
import types

from instrument.flow.placement import CALLING, graph_of, plan
from instrument.link.counters import RANGE_OF_COUNTS, ExitRecords, LateExits, first_key_of
from instrument.rewrite.probes import TracebackOf, WasInlined
from instrument.rewrite.rewriter import rewrite

FIRST_KEY = first_key_of(1)


class Same:
    """Stands for what exchanges code that is executed: `[function, source, namespace]` and `[function, arguments]` are
    the second of them.
    """

    def __getitem__(self, call):
        return call[1]


def new_counter():
    return itertools.repeat(None, sys.maxsize)


def count_of(counter):
    """Return how often *counter* was moved on."""
    return sys.maxsize - counter.__length_hint__()


def link(code, placement):
    """Return *code* rewritten, with counters in place; so are the code objects within."""
    graph = graph_of(code, placement)
    made = plan(graph, placement)
    unlinked = rewrite(graph, made)
    counters = [new_counter() for _ in made.probes]
    size = len(unlinked.code.co_code)
    bases = [FIRST_KEY + size * number for number, _ in enumerate(made.exits)]
    if placement in CALLING:
        counters = [counter.__next__ for counter in counters]
        # Nothing that keeps what it is called with: a cycle through the constants of code is never collected.
        bases = [id for _ in bases]
    constants = (
        *(link(constant, placement) if isinstance(constant, types.CodeType) else constant for constant in code.co_consts),
        *counters,
        *bases,
        TracebackOf(),
        LateExits(),
        RANGE_OF_COUNTS,
        Same(),
        *map(WasInlined, made.inlinable),
        ExitRecords("a session"),
        FIRST_KEY,
    )
    assert len(constants) == len(unlinked.code.co_consts)
    return unlinked.code.replace(co_consts=constants)


class Runner:
    """Runs a program in place of a Trace: as it is, or linked; counts line events by `sys.settrace` if so asked."""

    def __init__(self, placement=None, file_name=None):
        self.placement = placement
        self.file_name = file_name
        self.lines = collections.Counter()

    def runctx(self, code, global_names, local_names):
        if self.placement is not None:
            code = link(code, self.placement)
        with self.listening() if self.file_name is not None else contextlib.nullcontext():
            exec(code, global_names, local_names)

    def results(self):
        return types.SimpleNamespace(counts={}, calledfuncs={}, callers={})

    @contextlib.contextmanager
    def listening(self):
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)

    def _call(self, frame, _event, _argument):
        return self._local if frame.f_code.co_filename == self.file_name else None

    def _local(self, frame, event, _argument):
        if event == "line":
            self.lines[frame.f_lineno] += 1
        return self._local
