"""What the interpreter itself says of each step: which instruction came after which, and with which line events.

A program goes in, `Replay.codes` comes out: for every code object its LineEvents and the distinct steps that were
taken. Lines are reported to a trace function, instructions to the same one up to 3.12 and to `sys.monitoring` from 3.13
on: there `f_trace_opcodes` takes effect too late for the frame that sets it.
"""

import dataclasses
import sys
import types

import strategies
from flow.codes import index_at

from instrument.decode.instructions import Instructions
from instrument.decode.line_events import LineEvents
from instrument.decode.opcodes import MAY_RERAISE, RAISES, RERAISE

LISTENS_BY_MONITORING = sys.version_info >= (3, 13)
TOOL = 4  # neither a debugger, a profiler nor coverage


@dataclasses.dataclass(frozen=True)
class Step:
    """From instruction *prev* to *here*, raising line events for *lines*.

    *place* is where `f_lasti` stood: *prev*, but for a RERAISE that set it back. *called* tells whether *place* called
    Python code.
    """

    prev: int
    place: int
    here: int
    lines: tuple
    called: bool


class Activation:
    """A frame between two of its steps."""

    def __init__(self, code, prev):
        self.code = code
        self.prev = prev
        self.lines = []
        self.called = False
        self.unplaced = None  # a step whose place is known when the exception is
        self.origin = None  # where the exception that is on its way was raised first
        self.raised_again = {}  # by that place: the instruction that raised it again, without a new traceback entry


class Code:
    """A code object that was run, and its steps."""

    def __init__(self, code):
        self.events = LineEvents(Instructions(code))
        self.instructions = self.events.instructions
        self.settling_order = set()


class Replay:
    """Runs programs, in place of a Trace, and takes down the steps of all code of *file_name*."""

    def __init__(self, file_name=strategies.FILE_NAME, **_):
        self.file_name = file_name
        self.codes = {}
        self._activations = {}

    def runctx(self, code, global_names, local_names):
        before = sys.gettrace()
        if LISTENS_BY_MONITORING:
            monitoring = sys.monitoring
            monitoring.use_tool_id(TOOL, "replay")
            monitoring.register_callback(TOOL, monitoring.events.INSTRUCTION, self._instruction)
            monitoring.set_events(TOOL, monitoring.events.INSTRUCTION)
        else:
            sys._getframe().f_trace_opcodes = True  # 3.12 looks for such a frame when the function is set
        sys.settrace(self._call)
        try:
            exec(code, global_names, local_names)
        finally:
            sys.settrace(before)
            if LISTENS_BY_MONITORING:
                monitoring.set_events(TOOL, 0)
                monitoring.register_callback(TOOL, monitoring.events.INSTRUCTION, None)
                monitoring.free_tool_id(TOOL)

    def results(self):
        return types.SimpleNamespace(counts={}, calledfuncs={}, callers={})

    def settling_order(self):
        """Return all (Code, Step) that were seen."""
        return [(code, step) for code in self.codes.values() for step in code.settling_order]

    def _call(self, frame, _event, _argument):
        caller = self._activations.get(frame.f_back)
        if caller is not None:
            caller.called = True
        if frame.f_code.co_filename != self.file_name:
            return None
        code = self.codes.get(id(frame.f_code))
        if code is None:
            code = self.codes[id(frame.f_code)] = Code(frame.f_code)
        if not LISTENS_BY_MONITORING:
            frame.f_trace_opcodes = True
        self._activations[frame] = Activation(code, index_at(code.instructions, frame.f_lasti // 2))
        return self._local

    def _local(self, frame, event, _argument):
        if event == "line":
            self._activations[frame].lines.append(frame.f_lineno)
        elif event == "opcode":
            self._step(frame)
        elif event == "return":
            del self._activations[frame]
        return self._local

    def _instruction(self, code, _offset):
        if code.co_filename != self.file_name:
            return sys.monitoring.DISABLE
        frame = sys._getframe(1)
        if frame in self._activations:
            self._step(frame)
        return None

    def _step(self, frame):
        now = self._activations[frame]
        code = now.code
        instructions = code.instructions
        unit = frame.f_lasti // 2
        here = index_at(instructions, unit)
        if here == now.prev and unit > instructions.starts[here]:
            return  # behind its own prefix
        if now.unplaced:
            error = sys.exception()
            assert error.__traceback__.tb_frame is frame
            raised_at = error.__traceback__.tb_lasti // 2
            place = index_at(instructions, raised_at)
            lost = raised_at != instructions.units[place]
            if place in now.raised_again:
                place, lost = now.raised_again[place], False
            code.settling_order.add(dataclasses.replace(now.unplaced, place=place, called=lost))
            now.unplaced = None
        step = Step(now.prev, now.prev, here, tuple(now.lines), now.called)
        if instructions.ops[now.prev] == RERAISE and instructions.args[now.prev]:
            if code.events.starts[here]:
                now.unplaced = step
            else:
                assert not step.lines
        else:
            code.settling_order.add(step)
            self._follow_exception(now, here)
        now.prev, now.lines, now.called = here, [], False

    @staticmethod
    def _follow_exception(now, here):
        instructions = now.code.instructions
        if all(here != handler.target for handler in instructions.table):
            return
        op = instructions.ops[now.prev]
        if op in MAY_RERAISE or (op in RAISES and not instructions.args[now.prev]):
            now.raised_again[now.origin] = now.prev
        else:
            now.origin = now.prev
            now.raised_again.pop(now.prev, None)


def replay(source, names=(), tree=None):
    """Run *source*, or the syntax *tree*, and return its Replay."""
    code = compile(source if tree is None else tree, strategies.FILE_NAME, "exec", dont_inherit=True)
    seen = Replay()
    namespace = dict(names)
    seen.runctx(code, namespace, namespace)
    return seen
