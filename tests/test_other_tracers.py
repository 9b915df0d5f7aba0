"""Debuggers and other tracing tools get the same events from counted code as from original code.

A trace function gets the same calls, lines, exceptions and returns in the same order. `sys.monitoring` reports the same
lines and branches. Its jumps are not compared: unrolled loops lack some, and probes and stubs add some.
"""

import bdb
import os
import pickle
import subprocess
import sys

import oracle
import pytest
import strategies
import tracer_driver
from hypothesis import given
from rewrite.linking import link

SIZE_OF_BATCH = 40
#: Programs that marshal their own code. `instrument` gives `marshal` the original, `linking.link` does not.
LEFT_OUT = {"code_pickled_by_value", "marshal_own_code"}
PROGRAMS = [path for path in oracle.programs() if oracle.program_name(path) not in LEFT_OUT]
BATCHES = [PROGRAMS[start : start + SIZE_OF_BATCH] for start in range(0, len(PROGRAMS), SIZE_OF_BATCH)]
#: All programs run with the default placement. Every third batch runs with one of these, too.
OTHERS = "line", "events", "calls"


@pytest.mark.parametrize("batch", range(len(BATCHES)))
def test_tracing_tools_record_the_same_events_of_counted_programs(batch):
    """A trace function and `sys.monitoring` record the same events of each program, counted or not."""
    turn, rest = divmod(batch + sys.version_info[1], 3)
    others = () if rest else (OTHERS[turn % len(OTHERS)],)
    request = pickle.dumps((BATCHES[batch], ("minimal", *others)))
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run([sys.executable, tracer_driver.__file__], input=request, capture_output=True, env=environment)
    assert not done.returncode, done.stderr.decode(errors="replace")
    differences = pickle.loads(done.stdout)

    assert not differences, "\n\n".join("\n".join(each) for each in differences)


class RecordingTracer:
    """Stands for a Trace in `strategies.run`: records events of a program, linked for *placement* unless that is None."""

    def __init__(self, placement):
        self.placement = placement
        self.recorder = tracer_driver.Recorder(lambda name: name == strategies.FILE_NAME)

    def __call__(self, **arguments):
        return self

    def runctx(self, code, global_names, local_names):
        if self.placement is not None:
            code = link(code, self.placement)
        with self.recorder.recording():
            exec(code, global_names, local_names)

    def results(self):
        class Nothing:
            counts, calledfuncs, callers = {}, {}, {}

        return Nothing


def events_of(program, placement):
    """Return the events that are recorded of *program*, and its log."""
    tracer = RecordingTracer(placement)
    run = strategies.run(program, tracer)
    return tracer.recorder.seen(), run.log


@pytest.mark.slow
@pytest.mark.skipif(hasattr(sys, "monitoring") and sys.monitoring.get_tool(tracer_driver.TOOL) is not None, reason="another tool has that number")
@given(program=strategies.programs(size=30))
def test_tracing_tools_record_the_same_events_of_generated_programs(program):
    """A trace function and `sys.monitoring` record the same events of a generated program, counted or not."""
    expected, expected_log = events_of(program, None)
    actual, actual_log = events_of(program, "minimal")

    assert not tracer_driver.difference(expected, actual), program
    assert actual_log == expected_log


SHORT = '''
def f(n):
    for i in range(n):
        pass
    while n:
        if n % 2:
            n -= 1
            continue
        else:
            pass
        n -= 1
    return [x for x in range(3) if x]

f(5)
'''


@pytest.mark.parametrize("placement", ["minimal", "line"])
@pytest.mark.parametrize(("line", "hits"), [(4, 5), (7, 3), (8, 3), (10, 2), (11, 2)])
def test_a_debugger_stops_at_a_breakpoint_as_often_as_the_line_runs(placement, line, hits):
    """That holds on a line with a `pass`, too."""
    file = os.path.abspath("short.py")

    class Debugger(bdb.Bdb):
        stops = 0

        def user_line(self, frame):
            if self.break_here(frame):
                self.stops += 1
            self.set_continue()

        def set_continue(self):
            self._set_stopinfo(self.botframe, None, -1)

    debugger = Debugger()
    code = link(compile(SHORT, file, "exec"), placement)
    debugger.breaks[debugger.canonic(file)] = [line]
    bdb.Breakpoint(debugger.canonic(file), line)
    try:
        debugger.run(code, {})
    finally:
        bdb.Breakpoint.clearBreakpoints()

    assert debugger.stops == hits


@pytest.mark.parametrize("placement", ["minimal", "line"])
@pytest.mark.parametrize("line", range(2, 13))
def test_line_events_stay_the_same_if_opcodes_are_traced(placement, line):
    """A trace function that sets `f_trace_opcodes` on one line gets the line events of the original code."""
    sequences = []
    for code in (compile(SHORT, "short.py", "exec"), link(compile(SHORT, "short.py", "exec"), placement)):
        lines = []

        def local(frame, event, argument, lines=lines):
            frame.f_trace_opcodes = frame.f_lineno == line
            if event == "line":
                lines.append(frame.f_lineno)
            return local

        before = sys.gettrace()
        sys.settrace(lambda frame, event, argument: local if frame.f_code.co_filename == "short.py" else None)
        try:
            exec(code, {})
        finally:
            sys.settrace(before)
        sequences.append(lines)

    assert sequences[0] == sequences[1]
