"""Flow counts by probes are equal to counts of the steps that the interpreter reports."""

import contextlib
import io
import pathlib
import sys
import textwrap
import traceback
import types
import warnings

import fuzz
import oracle
import pytest
import strategies
from flow.stepping import ProbeCounter, StepCounter, difference, differences_in
from hypothesis import given, settings

from instrument.decode.versions import VERSION
from instrument.flow.derived.derivation import static_flow
from instrument.model.flow_counts import Arc, FlowCounts, FunctionFlow, Outcomes


def flow_of(source, **names):
    """Return the FlowCounts of a run of *source*, by probes."""
    counter = ProbeCounter()
    code = compile(textwrap.dedent(source), strategies.FILE_NAME, "exec", dont_inherit=True)
    namespace = {"__name__": "program", **names}
    with contextlib.suppress(ZeroDivisionError):
        counter.runctx(code, namespace, namespace)
    return counter.flow_counts()


# -- by steps and by probes ------------------------------------------------------------------------------------------


@given(program=strategies.programs())
@settings(max_examples=min(60, settings().max_examples))
def test_generated_programs_have_equal_counts_by_steps_and_by_probes(program):
    """Decisions, arcs, instructions and exits are equal, whatever frames raise, yield, throw, or leave open."""
    assert not differences_in(program)


#: Words of programs that cannot run twice in one process, or start code that steps do not show.
UNSUITABLE = (
    *("thread", "concurrent", "fork", "asyncio", "multiprocessing", "settrace", "signal", "atexit", "weakref", "exec(", "compile("),
    *("sys.exit", "os._exit", "__del__", "gc", "unittest", "argparse", "pickle", "_getframe", "excepthook", "audit"),
    *("__main__", "__file__", "co_code", "__code__", "import_module", "traceback", "excinfo", "StringIO", "input("),
)


def comparable_programs():
    """Return the paths of the programs that can run in this process, by name."""
    paths = [pathlib.Path(path) for path in oracle.programs()]
    return {
        path.stem: path
        for path in paths
        if path.is_file() and not any(word in path.read_text("latin-1") for word in UNSUITABLE)
    }


PROGRAMS = comparable_programs()
if VERSION == (3, 11):
    # The program itself prints another text while its instructions are traced.
    PROGRAMS.pop("async_with_two_on_one_line_waiting")


def run_program(path, counter):
    """Run the program at *path* with *counter*; its output and its exceptions are dropped."""
    warnings.simplefilter("ignore")
    code = compile(path.read_bytes(), strategies.FILE_NAME, "exec", dont_inherit=True)
    module = types.ModuleType("program")
    sys.modules["program"] = module
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(BaseException):
            counter.runctx(code, vars(module), vars(module))
    finally:
        del sys.modules["program"]


def differences_in_file(name):
    counters = StepCounter(), ProbeCounter()
    try:
        for counter in counters:
            run_program(PROGRAMS[name], counter)
        return difference(*counters)
    except Exception as error:
        return traceback.format_exception(error)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_have_equal_counts_by_steps_and_by_probes(name):
    """Each program runs in a process of its own."""
    assert fuzz.in_fork(differences_in_file, name) == []


def test_most_programs_are_compared():
    """More than 200 of the programs can run in this way."""
    assert len(PROGRAMS) > 200


# -- single rules ----------------------------------------------------------------------------------------------------


def test_loops_branches_and_returns_have_arcs():
    """A line has an arc for each way out of it, 0 included; one within the line is none."""
    flow = flow_of("""\
        def f(x):
            while x:
                if x == 9:
                    return x
                x = x and x - 1
        f(2)
        """)
    f = ("f", 1)
    expected = {(2, 3): 2, (2, 0): 1, (3, 4): 0, (3, 5): 2, (4, 0): 0, (5, 2): 2}
    assert {arc[1:]: count for arc, count in flow.arcs.items() if arc.function == f} == expected


def test_functions_say_how_they_were_left():
    """Returns, yields and exceptions are counted by themselves, and resumptions are no calls."""
    flow = flow_of("""\
        def g(x):
            yield 1
            yield 1 // x
        def f(x):
            return [*g(x)]
        f(1)
        f(0)
        """)
    assert flow.functions["g", 1][:4] == (2, 1, 3, 1)
    assert flow.functions["f", 4][:4] == (2, 1, 0, 1)
    assert flow.functions["<module>", 1][:4] == (1, 0, 0, 1)


def test_an_await_counts_once_however_long_it_waits():
    """So do its instructions."""
    source = """\
        class Pause:
            def __init__(self, n):
                self.n = n
            def __await__(self):
                for _ in range(self.n):
                    yield
        async def f(n):
            await Pause(n)
        coroutine = f(N)
        try:
            while True:
                coroutine.send(None)
        except StopIteration:
            pass
        """
    short, long = (flow_of(source, N=n).functions["f", 7] for n in (1, 9))
    assert short == long
    assert short[:4] == (1, 1, 1, 0)


def test_executions_say_how_often_a_line_began():
    """A statement over several lines counts once on each, a loop counts its tests, and a comprehension its statement."""
    flow = flow_of("""\
        def f(*x):
            return x
        for i in range(3):
            f(i,
              [j
               for j in range(5)],
              i)
        n = 4
        while n:
            n -= 1
        with open(
            __import__('os').devnull
        ) as file:
            n
        try:
            n
        finally:
            i
        """)
    expected = {2: 3, 3: 4, 4: 3, 7: 3, 8: 1, 9: 5, 10: 4, 11: 1, 12: 1, 14: 1, 16: 1, 18: 1}
    assert {line: count for line, count in flow.executions.items() if line in expected} == expected
    assert flow.executions[5] == flow.executions[6] == 3


def test_instructions_of_raising_lines_end_with_the_one_that_raises():
    """The cost of a line is less if an exception cuts it off."""
    source = "def f(x):\n    1 // x; 1; f; f; f; f\ntry:\n    f(X)\nexcept ZeroDivisionError:\n    pass\n"
    whole, cut = flow_of(source, X=1), flow_of(source, X=0)
    assert 0 < cut.instructions[2] < whole.instructions[2]


def test_the_header_of_an_endless_loop_counts_its_turns():
    """Its code is a NOP at the start and a jump at the end. Where a jump leads past it, another line has the jump."""
    flow = flow_of("""\
        def f(n):
            while True:
                n -= 1
                if n == 5:
                    continue
                if n < 0:
                    break
                if n % 2:
                    n += 0
        f(6)
        f(2)
        """)
    assert {line: flow.executions[line] for line in (2, 3, 5, 7)} == {2: 10, 3: 10, 5: 1, 7: 2}


@pytest.mark.filterwarnings("ignore:'return' in a 'finally' block:SyntaxWarning")
def test_copies_of_a_return_in_a_finally_add_up():
    """Some begin with the removal of values from the stack, and others with the return itself."""
    flow = flow_of("""\
        def f(x):
            try:
                if x:
                    return f(0)
                x += 1
            finally:
                return 2
        for i in range(6):
            f(i % 2)
        """)
    assert {line: flow.executions[line] for line in (4, 5, 7)} == {4: 3, 5: 6, 7: 9}


def test_a_statement_that_waits_is_executed_once():
    """Neither an exception that is thrown in begins it again, nor the end of an asynchronous iterator."""
    flow = flow_of("""\
        def inner():
            while True:
                try:
                    yield
                except ValueError:
                    pass
        def outer():
            yield from inner()
        g = outer()
        next(g)
        g.throw(ValueError)
        g.throw(ValueError)
        g.close()
        async def numbers():
            for n in range(3):
                yield n
        async def f():
            return [n async for n in numbers()]
        try:
            f().send(None)
        except StopIteration:
            pass
        """)
    assert {line: flow.executions[line] for line in (4, 8, 18)} == {4: 3, 8: 1, 18: 1}


def test_a_decorated_definition_is_executed_once():
    """The calls of the decorators stand between its parts, and the return of the module belongs to the last one."""
    flow = flow_of("""\
        def d(x): return x
        @d
        @d
        def f():
            return 1
        @d
        class C:
            @d
            @d
            def g(self):
                return 1
        """)
    assert {line: flow.executions[line] for line in (2, 3, 4, 6, 7, 8, 9, 10)} == dict.fromkeys((2, 3, 4, 6, 7, 8, 9, 10), 1)


@pytest.mark.parametrize("text", ["t += d[i % 2]", "t += int(str(i or 'x').strip())", "t += abs(i.real) + d.copy()[i]"])
def test_instructions_up_to_the_outer_call_or_subscript_count(text):
    """That is the likeliest place if an exception is caught in the same function, and exits share a counter."""
    source = f"d = {{1: 2}}\nt = 0\nfor i in range(5):\n    try:\n        {text}\n    except (KeyError, ValueError):\n        pass\n"
    source = "def f():\n" + textwrap.indent(source, "    ") + "f()\n"
    code = compile(source, strategies.FILE_NAME, "exec", dont_inherit=True)
    counters = StepCounter(), ProbeCounter()
    for counter in counters:
        counter.runctx(code, names := {"__name__": "program"}, names)
    by_steps, by_probes = (counter.flow_counts().instructions for counter in counters)

    assert ("f", 1) in counters[1].inexact
    assert by_steps == by_probes


def test_code_that_never_ran_has_zeros():
    """All decisions, arcs and functions of nested code are known without a run."""
    source = "def f(x):\n    if x:\n        return 1\n    return lambda: x or 2\n"
    flow = static_flow(compile(source, "program", "exec"))
    assert set(flow.functions) == {("<module>", 1), ("f", 1), ("f.<locals>.<lambda>", 4)}
    assert set(flow.functions.values()) == {FunctionFlow()}
    assert set(flow.decisions.values()) == {Outcomes(0, 0)}
    assert len(flow.decisions) == 2
    assert flow.arcs[Arc(("f", 1), 2, 3)] == 0
    assert not any(flow.executions.values())


@pytest.mark.parametrize("seed", range(5))
def test_counts_of_a_run_have_the_keys_of_code_that_never_ran(seed):
    """So counts of several processes add up."""
    program = strategies.random_program(seed)
    counter = ProbeCounter()
    strategies.run(program, lambda **_: counter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(program.source, strategies.FILE_NAME, "exec", dont_inherit=True)
    static = static_flow(code)
    total = FlowCounts()
    total += static
    total += counter.flow_counts()
    assert total == counter.flow_counts()
