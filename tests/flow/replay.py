"""Records the steps of a program from instruction to instruction, with their line events, as the interpreter reports them.

A program comes in; `Replay.codes` goes out: for every code object its LineEvents and its distinct steps. The interpreter
reports lines to a trace function. Up to 3.12 it reports instructions there as well, and from 3.13 on to `sys.monitoring`.
There `f_trace_opcodes` takes effect too late for the frame that sets it.
"""

import dataclasses
import sys
import types

import strategies
from flow.codes import index_at

from instrument.decode.instructions import Instructions
from instrument.decode.line_events import LineEvents
from instrument.decode.opcodes import MAY_RERAISE, RAISES, RERAISE

USES_MONITORING = sys.version_info >= (3, 13)
TOOL = 4  # neither a debugger, a profiler nor coverage


@dataclasses.dataclass(frozen=True)
class Step:
    """A step from instruction *prev* to *here*, with line events for *lines*.

    *place* is the instruction of `f_lasti`: *prev*, except behind a RERAISE, which sets it back. *called* is whether *place*
    called Python code.
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
        self.unplaced = None  # a step whose place follows from the exception
        self.origin = None  # the instruction that raised the current exception first
        self.raised_again = {}  # by origin: the instruction that raised it again, without a new entry in the traceback


class Code:
    """The steps of one code object."""

    def __init__(self, code):
        self.events = LineEvents(Instructions(code))
        self.instructions = self.events.instructions
        self.steps = set()


class Replay:
    """Runs programs in place of a Trace, and records the steps of all code of *file_name*."""

    def __init__(self, file_name=strategies.FILE_NAME, **_):
        self.file_name = file_name
        self.codes = {}
        self._activations = {}

    def runctx(self, code, global_names, local_names):
        before = sys.gettrace()
        if USES_MONITORING:
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
            if USES_MONITORING:
                monitoring.set_events(TOOL, 0)
                monitoring.register_callback(TOOL, monitoring.events.INSTRUCTION, None)
                monitoring.free_tool_id(TOOL)

    def results(self):
        return types.SimpleNamespace(counts={}, calledfuncs={}, callers={})

    def steps(self):
        """Return all recorded steps as pairs of Code and Step."""
        return [(code, step) for code in self.codes.values() for step in code.steps]

    def _call(self, frame, _event, _argument):
        caller = self._activations.get(frame.f_back)
        if caller is not None:
            caller.called = True
        if frame.f_code.co_filename != self.file_name:
            return None
        code = self.codes.get(id(frame.f_code))
        if code is None:
            code = self.codes[id(frame.f_code)] = Code(frame.f_code)
        if not USES_MONITORING:
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
        activation = self._activations[frame]
        code = activation.code
        instructions = code.instructions
        unit = frame.f_lasti // 2
        here = index_at(instructions, unit)
        if here == activation.prev and unit > instructions.starts[here]:
            return  # behind its own prefix
        if activation.unplaced:
            error = sys.exception()
            assert error.__traceback__.tb_frame is frame
            raised_at = error.__traceback__.tb_lasti // 2
            place = index_at(instructions, raised_at)
            lost = raised_at != instructions.units[place]
            if place in activation.raised_again:
                place, lost = activation.raised_again[place], False
            code.steps.add(dataclasses.replace(activation.unplaced, place=place, called=lost))
            activation.unplaced = None
        step = Step(activation.prev, activation.prev, here, tuple(activation.lines), activation.called)
        if instructions.ops[activation.prev] == RERAISE and instructions.args[activation.prev]:
            if code.events.starts[here]:
                activation.unplaced = step
            else:
                assert not step.lines
        else:
            code.steps.add(step)
            self._follow_exception(activation, here)
        activation.prev, activation.lines, activation.called = here, [], False

    @staticmethod
    def _follow_exception(activation, here):
        instructions = activation.code.instructions
        if all(here != handler.target for handler in instructions.table):
            return
        op = instructions.ops[activation.prev]
        if op in MAY_RERAISE or (op in RAISES and not instructions.args[activation.prev]):
            activation.raised_again[activation.origin] = activation.prev
        else:
            activation.origin = activation.prev
            activation.raised_again.pop(activation.prev, None)


def replay(source, names=(), tree=None):
    """Run *source*, or the syntax *tree*, and return its Replay."""
    code = compile(source if tree is None else tree, strategies.FILE_NAME, "exec", dont_inherit=True)
    run = Replay()
    namespace = dict(names)
    run.runctx(code, namespace, namespace)
    return run
