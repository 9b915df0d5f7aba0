"""Runs programs for tests/test_other_tracers.py, as a script: reads paths and placements from stdin, writes differences.

Each program runs in forks: once with its original code, and once for each placement with its code rewritten and linked.
Each time a trace function, and from 3.12 on `sys.monitoring`, record the events of the program's own code.
"""

import contextlib
import difflib
import dis
import gc
import io
import itertools
import os
import pickle
import sys
import threading
import traceback
import types

import oracle_driver

#: The recorder's tool number in `sys.monitoring`.
TOOL = 3

#: How many events of a program are compared at the most: the first ones.
MOST_EVENTS = 200_000


#: The branch in the probe behind a call that 3.12 may have inlined.
ASK = "SWAP", "POP_JUMP_IF_FALSE"


class Recorder:
    """Records events in files that *is_own* selects, for each thread, from a trace function and `sys.monitoring`."""

    def __init__(self, is_own):
        self.is_own = is_own
        self.sequences = {}
        self.own = threading.local()
        self.lines = {}

    def seen(self):
        """Return a dict from kind of event to the sorted list of sequences of events, one for each thread."""
        return {kind: sorted(found) for kind, found in self.sequences.items()}

    def sequence(self, kind):
        """Return the list of the events of *kind* in this thread."""
        own = self.own.__dict__
        if kind not in own:
            own[kind] = []
            self.sequences.setdefault(kind, []).append(own[kind])
        return own[kind]

    @contextlib.contextmanager
    def recording(self):
        """Record events until the `with` statement ends."""
        before = sys.gettrace()
        if hasattr(sys, "monitoring"):
            self.monitor()
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(None)
            if hasattr(sys, "monitoring"):
                sys.monitoring.set_events(TOOL, 0)
                sys.monitoring.free_tool_id(TOOL)

    # -- a trace function

    def trace(self, frame, event, argument):
        if not self.is_own(frame.f_code.co_filename):
            return None
        self.local(frame, event, argument)
        return self.local

    def local(self, frame, event, _argument):
        sequence = self.sequence("settrace")
        if len(sequence) < MOST_EVENTS:
            sequence.append(f"{frame.f_code.co_qualname} {event} {frame.f_lineno}")
        return self.local

    # -- sys.monitoring

    def monitor(self):
        tool, events = TOOL, sys.monitoring.events
        sys.monitoring.use_tool_id(tool, "test")
        sys.monitoring.register_callback(tool, events.LINE, self.line)
        mask = events.LINE
        for name in ("BRANCH", "BRANCH_LEFT", "BRANCH_RIGHT"):
            # From 3.14 on, BRANCH stands for BRANCH_LEFT and BRANCH_RIGHT.
            if hasattr(events, name) and not (name == "BRANCH" and hasattr(events, "BRANCH_LEFT")):
                mask |= getattr(events, name)
                sys.monitoring.register_callback(tool, getattr(events, name), self.step(name))
        sys.monitoring.set_events(tool, mask)

    def line(self, code, line):
        if self.is_own(code.co_filename):
            sequence = self.sequence("LINE")
            if len(sequence) < MOST_EVENTS:
                sequence.append(f"{code.co_qualname} {line}")

    def step(self, kind):
        def step(code, source, destination):
            if not self.is_own(code.co_filename):
                return
            if code not in self.lines:
                self.lines[code] = lines_of(code)
            lines, probes = self.lines[code]
            if source in probes or lines.get(source) is None:
                return
            sequence = self.sequence(kind)
            if len(sequence) < MOST_EVENTS:
                sequence.append(f"{code.co_qualname} {lines.get(source)} to {lines.get(destination)}")

        return step


def lines_of(code):
    """Return a dict from each offset of *code* to its line, and the set of offsets of branches in probes."""
    lines = {offset: line for start, end, line in code.co_lines() for offset in range(start, end, 2)}
    probes = set()
    counting = False
    above = ""
    for found in dis.get_instructions(code):
        if found.opname == "LOAD_CONST":
            counting = isinstance(found.argval, itertools.repeat)
        elif (found.opname in ("FOR_ITER", "END_FOR") and counting) or (above, found.opname) == ASK:
            probes.add(found.offset)
            counting = counting and found.opname == "FOR_ITER"  # the program's own loop may stand behind the probe
        elif found.opname not in ("EXTENDED_ARG", "PUSH_NULL"):
            counting = False
        above = found.opname
    return lines, probes


def run(path, placement):
    """Return the events of the program at *path*. Its code is rewritten for *placement*, unless that is None."""
    from linking import link

    with open(path, "rb") as stream:
        code = compile(stream.read(), path, "exec", dont_inherit=True)
    if placement is not None:
        code = link(code, placement)
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    sys.argv = [path]
    sys.path[0] = os.path.dirname(path)
    sys.stdin = open(os.devnull)
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    recorder = Recorder(lambda name: name == path)
    gc.collect()
    gc.disable()
    with recorder.recording():
        with contextlib.suppress(BaseException):
            exec(code, module.__dict__)
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
    return recorder.seen()


def difference(expected, found):
    """Return a text that shows how the events *found* differ from those *expected*, "" if they are equal."""
    for outcome in (expected, found):
        if "status" in outcome:  # the process died
            return f"{outcome['status']}\n{outcome.get('stderr')}"
    for kind in dict.fromkeys(["settrace", "LINE", *expected, *found]):
        one, other = expected.get(kind, []), found.get(kind, [])
        if one != other:
            one, other = itertools.chain(*one), itertools.chain(*other)
            rows = difflib.unified_diff(list(one)[:3000], list(other)[:3000], "plain", "counted", lineterm="", n=3)
            return "\n".join([kind, *itertools.islice(rows, 40)])
    return ""


def drive():
    """Read a request, run its programs, and write a list of (path, placement, text) for those that differ."""
    paths, placements = pickle.loads(sys.stdin.buffer.read())
    import linking  # noqa: F401 - imported once here, not in each fork

    try:
        raise ValueError
    except ValueError:
        traceback.format_exc()
    gc.collect()
    gc.freeze()  # each fork collects its own garbage only
    differences = []
    for path in paths:
        expected = oracle_driver._in_child(run, path, None)
        for placement in placements:
            text = difference(expected, oracle_driver._in_child(run, path, placement))
            if text:
                differences.append((path, placement, text))
    sys.stdout.buffer.write(pickle.dumps(differences))


if __name__ == "__main__":
    sys.path[1:1] = [oracle_driver.ROOT, os.path.join(oracle_driver.ROOT, "tests", "rewrite")]
    drive()
