"""Both tools agree on programs that nobody wrote: the same counts, the same outcome."""

import gc
import random
import trace
import types
import warnings

import pytest
from fuzz import judge, minimise
from hypothesis import given, settings
from strategies import FILE_NAME, Program, programs, random_program, run


@pytest.fixture(scope="module", autouse=True)
def _only_new_functions():
    """Hide what exists from the search for functions to instrument: a run would look at all of pytest each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@given(programs())
def test_counts_are_the_same(program):
    """Every line of a generated program has the count that `trace` finds, in both placements."""
    verdict = judge(program)

    assert not verdict, f"{verdict}\n{program}"


@settings(max_examples=settings().max_examples // 10)  # each is run four times, with all that is loaded listened to
@given(programs(size=25))
def test_functions_and_callers_are_the_same(program):
    """A generated program calls the functions that `trace` sees, from where `trace` sees them called."""
    verdict = judge(program, placements=("minimal",), compare=("countfuncs", "countcallers"))

    assert not verdict, f"{verdict}\n{program}"


@pytest.mark.parametrize("start", range(0, 90, 30))
def test_random_programs_are_the_same(start):
    """Programs written without Hypothesis agree as well: the two writers share all but their source of choices."""
    for seed in range(start, start + 30):
        program = random_program(seed)
        verdict = judge(program)

        assert not verdict, f"seed {seed}: {verdict}\n{program}"


def test_random_programs_compile_and_end():
    """Whatever is chosen, a program is one that Python accepts, ends, and does the same the next time."""
    for seed in range(200):
        program = random_program(seed)

        assert run(program, trace.Trace) == run(program, trace.Trace)


def test_most_lines_are_reached():
    """The programs are worth running: half of their executable lines are counted, at the least."""
    n_reached = n_executable = 0
    for seed in range(100):
        program = random_program(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            executable = executable_lines(compile(program.source, FILE_NAME, "exec"))
        n_reached += len(executable & {line for _, line in run(program, trace.Trace).counts})
        n_executable += len(executable)

    assert n_reached / n_executable >= 0.5


def executable_lines(code):
    """Return the lines of *code* and of all code within it."""
    nested = (executable_lines(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return {line for _, _, line in code.co_lines() if line}.union(*nested)


def test_minimise_keeps_what_differs():
    """A program is made as small as the difference allows, and no smaller."""
    lines = [f"x{n} = note({n})" for n in range(20)]
    random.Random(1).shuffle(lines)
    program = Program("if decide():\n    pass\nfor a in items():\n    b = a\n" + "\n".join(lines) + "\n", (3, 4, 5))

    def verdict_of(candidate):
        return "differs" if "x7" in candidate.source and "for" in candidate.source else ""

    small, verdict = minimise(program, verdict_of)

    assert verdict == verdict_of(small) == "differs"
    assert len(small.source.splitlines()) <= 3
    assert small.decisions == (0,)
