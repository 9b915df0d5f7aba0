"""Links rewritten code for tests, independently of `instrument.link`.

A code object and a placement come in; code with counters goes out, nested code objects included. The order of the
appended constants is written down here a second time, so that a mistake in `unlinked` is noticed.
"""

import collections
import contextlib
import itertools
import sys
import types

from instrument.flow.placement import CALLING, graph_of, plan
from instrument.link.code_group import first_key_of
from instrument.link.exit_records import RANGE_OF_COUNTS, ExitRecords, LateExits
from instrument.rewrite.rewriter import rewrite
from instrument.rewrite.unlinked import TracebackOf, WasInlined

FIRST_KEY = first_key_of(1)


class NoExchange:
    """Stands for the exchange of exec'd code, and exchanges nothing: `[key]` is the second item of the key."""

    def __getitem__(self, key):
        return key[1]


def new_counter():
    """Return a counter that has not been moved on."""
    return itertools.repeat(None, sys.maxsize)


def count_of(counter):
    """Return how often *counter* has been moved on."""
    return sys.maxsize - counter.__length_hint__()


def link(code, placement):
    """Return *code* rewritten and linked with counters of its own, nested code objects included."""
    graph = graph_of(code, placement)
    planned = plan(graph, placement)
    unlinked = rewrite(graph, planned)
    counters = [new_counter() for _ in planned.probes]
    size = len(unlinked.code.co_code)
    bases = [FIRST_KEY + size * number for number, _ in enumerate(planned.exits)]
    if placement in CALLING:
        counters = [counter.__next__ for counter in counters]
        # `id` does not keep its argument: a reference cycle through constants of code is never collected.
        bases = [id for _ in bases]
    constants = (
        *(link(constant, placement) if isinstance(constant, types.CodeType) else constant for constant in code.co_consts),
        *counters,
        *bases,
        TracebackOf(),
        LateExits(),
        RANGE_OF_COUNTS,
        NoExchange(),
        *map(WasInlined, planned.inlinable),
        ExitRecords("a session"),
        FIRST_KEY,
    )
    assert len(constants) == len(unlinked.code.co_consts)
    return unlinked.code.replace(co_consts=constants)


class Runner:
    """Runs a program as `Trace` does: plain, or with *placement* rewritten; counts line events of *file_name* if given."""

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
