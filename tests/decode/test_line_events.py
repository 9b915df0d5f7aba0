"""Each step from one instruction to the next raises the line events that the interpreter raises."""

import ast
import collections
import sys

import pytest
import strategies
from flow.codes import codes_of
from flow.replay import Replay, replay
from hypothesis import given, settings

from instrument.decode.instructions import Instructions
from instrument.decode.line_events import LineEvents
from instrument.decode.opcodes import END_ASYNC_FOR, OPNAMES, RESUME
from instrument.decode.versions import INLINED_CALL_LOSES_LINE, LINES_WRAP


def expected_lines(events, step):
    """Return the lines of the events that *events* says *step* raises, in order."""
    lines = []
    if events.loops_on_one_line(step.prev, step.here):
        lines.append(events.lines[step.prev])
    if events.fires(step.place, step.here):
        lines.append(events.lines[step.here])
    return tuple(lines)


def loses_its_line(events, step):
    """Return whether *step* comes from a call that may have been inlined: LineEvents does not cover it."""
    same_line = events.lines[step.place] == events.lines[step.here]
    return INLINED_CALL_LOSES_LINE and step.called and same_line and events.starts[step.here]


def check(seen):
    """Compare the line events of all steps that were *seen* with those of LineEvents; return the number of steps."""
    n_steps = 0
    for code, step in seen.steps():
        if loses_its_line(code.events, step):
            continue
        described = [code.instructions.describe(index) for index in (step.place, step.here)]
        assert step.lines == expected_lines(code.events, step), described
        n_steps += 1
    return n_steps


@given(strategies.programs(size=15))
@settings(max_examples=min(60, settings().max_examples))
def test_each_step_of_a_program_raises_its_events(program):
    """Each step of a program raises the line events that LineEvents has for it."""
    seen = Replay()
    strategies.run(program, lambda **_: seen)

    check(seen)


@pytest.mark.slow
def test_the_steps_of_many_programs_are_of_every_kind():
    """Hundreds of larger programs agree as well, and leave out no kind of step."""
    kinds = collections.Counter()
    for seed in range(500):
        seen = Replay()
        strategies.run(strategies.random_program(seed), lambda **_: seen)
        check(seen)
        for code, step in seen.steps():
            kinds["jump back"] += step.here < step.prev
            kinds["no event"] += not step.lines
            kinds["one event"] += len(step.lines) == 1
            kinds["place set back"] += step.place != step.prev
            kinds["into a handler"] += any(step.here == found.target for found in code.instructions.table)
            kinds["into the function"] += step.prev == code.instructions.first
            kinds["out of a yield"] += is_resumed(code.instructions, step.prev)
            kinds["behind a prefix"] += code.instructions.starts[step.here] != code.instructions.units[step.here]
    assert min(kinds.values()) > 20, kinds
    assert len(kinds) == 8


def is_resumed(instructions, index):
    return instructions.ops[index] == RESUME and index > instructions.first


# Named traps ##########################################################################################################


def the_lines_of(seen, name):
    """Return the lines of the events of all distinct steps in the code called *name*, in order of the code."""
    (code,) = [code for code in seen.codes.values() if code.instructions.code.co_name == name]
    check(seen)
    steps = sorted(code.steps, key=lambda step: (step.here, step.prev))
    return [line for step in steps for line in step.lines]


def test_a_resume_raises_no_event_but_the_instruction_behind_it_does():
    """Entering a function is an event of its first line, even the one of its `def`; RESUME itself is none."""
    seen = replay("def f(): pass\nf()\n")
    assert the_lines_of(seen, "f") == [1]
    for code in seen.codes.values():
        first = code.instructions.first
        assert not code.events.starts[first]
        assert code.events.fires(first, first + 1)


def test_resuming_a_generator_raises_no_event_on_the_line_of_its_yield():
    """Between two yields of one line there is one event, that of the jump back."""
    seen = replay("def f():\n    for x in 1, 2, 3: yield x\nlist(f())\n")
    assert the_lines_of(seen, "f").count(2) == 2
    (code,) = [code for code in seen.codes.values() if code.instructions.code.co_name == "f"]
    instructions = code.instructions
    resumed = [step for step in code.steps if is_resumed(instructions, step.prev)]
    assert resumed
    for step in resumed:
        assert not step.lines
    for step in code.steps:
        if step.lines and step.prev > instructions.first:
            assert OPNAMES[instructions.ops[step.prev]].startswith("JUMP_BACKWARD")


def test_each_jump_back_on_one_line_raises_an_event():
    """A loop on one line raises an event when it is entered and one for each jump back, by either rule."""
    hits = []
    seen = replay("while more(): pass\n", {"more": lambda: hits.append(0) or len(hits) < 4})
    assert len(hits) == 4
    check(seen)
    (code,) = seen.codes.values()
    backward = [step for step in code.steps if step.here < step.prev]
    assert [step.lines for step in backward] == [(1,)] * len(backward) != []
    on_one_line = [code.events.loops_on_one_line(step.prev, step.here) for step in backward]
    assert on_one_line == [sys.version_info >= (3, 12)] * len(backward)


def test_a_jump_back_to_another_line_is_the_event_of_that_line():
    """Where a loop's header has a line of its own the jump back is one event, not two."""
    seen = replay("for x in 1, 2:\n    y = x\n")
    check(seen)
    (code,) = seen.codes.values()
    (backward,) = [step for step in code.steps if step.here < step.prev]
    assert backward.lines == (1,)
    assert not code.events.loops_on_one_line(backward.prev, backward.here)


def test_an_await_loop_raises_no_event():
    """The jump back to a SEND is on one line, and no event in any version."""
    seen = replay("def g():\n    yield 1\n    yield 2\ndef f():\n    yield from g()\nlist(f())\n")
    assert the_lines_of(seen, "f") == [5]


def lines_moved(source, name, lines):
    """Return the syntax tree of *source* with the statements of the function *name* moved to *lines*."""
    tree = ast.parse(source)
    (function,) = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    for statement, line in zip(function.body, lines, strict=True):
        for node in ast.walk(statement):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = line
                node.col_offset = node.end_col_offset = 0
    return tree


@pytest.mark.parametrize("far", [10, 400, 70_000], ids=["one byte", "two bytes", "three bytes"])
@pytest.mark.parametrize("above", [1, 3, 90], ids="{} above".format)
def test_lines_above_the_def_line_wrap_around(above, far):
    """If a hand-made syntax tree has statements above their `def`, the interpreter may report other lines."""
    source = "\n" * 99 + "def f():\n    a = 1\n    b = 2\n    c = 3\nf()\n"
    tree = lines_moved(source, "f", [100 - above, 100 + far, 101])
    seen = replay(None, tree=tree)
    lines = the_lines_of(seen, "f")
    assert lines[1:] == [100 + far, 101]
    assert (lines[0] == 100 - above) == (above < 2 or not LINES_WRAP)


def test_an_inlined_call_loses_its_line_in_3_12():
    """`x = c and f()` raises one more event if `f` is a Python function, in 3.12 only."""
    python, builtin = [
        the_lines_of(replay("def f(): return 1\ndef g():\n    x = c and f()\ng()\n".replace("f()\ng()", call), {"c": 1}), "g")
        for call in ("f()\ng()", "int()\ng()")
    ]
    assert builtin == [3]
    assert python == ([3, 3] if INLINED_CALL_LOSES_LINE else [3])


ASYNC_FOR = """
class Ticks:
    def __aiter__(self):
        return self
    async def __anext__(self):
        raise StopAsyncIteration
async def f():
    async for x in Ticks(): pass
    async for x in (
        Ticks()
    ): pass
try:
    f().send(None)
except StopIteration:
    pass
"""


def test_the_end_of_an_asynchronous_loop_raises_no_event():
    """END_ASYNC_FOR starts no line from 3.12 on, although a handler begins with it."""
    seen = replay(ASYNC_FOR)
    check(seen)
    (code,) = [code for code in seen.codes.values() if code.instructions.code.co_name == "f"]
    ends = [step.here for step in code.steps if code.instructions.ops[step.here] == END_ASYNC_FOR]
    assert [code.events.starts[end] for end in ends] == [sys.version_info < (3, 12)] * 2


def test_a_file_without_a_statement_has_an_event_of_line_0():
    """The `return None` of an empty module is on line 0."""
    seen = replay("")
    assert the_lines_of(seen, "<module>") == [0]


def test_a_prefix_belongs_to_its_instruction():
    """An instruction with a prefix raises one event."""
    names = [f"name{number}" for number in range(300)]
    source = "".join(f"{name} = 1\n" for name in names) + "".join(f"{name}\n" for name in names)
    seen = replay(source)
    check(seen)
    (code,) = seen.codes.values()
    prefixed = [step for step in code.steps if code.instructions.starts[step.here] != code.instructions.units[step.here]]
    assert len(prefixed) > 80
    counted = collections.Counter(line for step in code.steps for line in step.lines)
    assert counted == dict.fromkeys(range(1, 601), 1)


class Guard:
    """A context manager that lets no exception pass."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return True


THROWN = """
def f():
    try:
        yield 1
    except ValueError: yield 2
g = f()
next(g)
g.throw(ValueError)
def f2():
    try: yield 1
    except ValueError: yield 2
g = f2()
next(g)
g.throw(ValueError)
def f3():
    with guard: yield 1
    yield 2
g = f3()
next(g)
g.throw(ValueError)
"""


def test_an_exception_that_is_thrown_in_comes_from_the_yield_or_its_resume():
    """A handler on the line of the yield is an event where the exception arrives at the RESUME, from 3.13 on."""
    seen = replay(THROWN, {"guard": Guard()})
    assert the_lines_of(seen, "f") == [3, 4, 5]
    assert the_lines_of(seen, "f2") == [10, 11]
    assert sorted(the_lines_of(seen, "f3")) == ([16, 17] if sys.version_info < (3, 13) else [16, 16, 17])


@given(strategies.programs(size=10))
@settings(max_examples=min(40, settings().max_examples))
def test_eventless_sources_of_a_handler_are_the_steps_that_do_not_fire(program):
    """`eventless_sources` agrees with `fires` for each instruction."""
    for code in codes_of(program.source):
        events = LineEvents(Instructions(code))
        for handler in events.instructions.table:
            if events.starts[handler.target]:
                silent = {index for index in range(len(events.lines)) if not events.fires(index, handler.target)}
                assert events.eventless_sources(handler.target) == silent
