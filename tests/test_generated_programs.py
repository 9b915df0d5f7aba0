"""Generated programs have the same counts and the same outcome under both tools."""

import gc
import random
import trace
import types
import warnings

import pytest
from fuzz import judge, minimise
from hypothesis import given, settings
from strategies import FILE_NAME, Program, programs, random_program, run


def judge_alone(program, **how):
    """Return `judge(program, **how)`, with all existing objects frozen.

    Each run looks for existing functions, and `trace` for the class of each function, among all objects that are not
    frozen. Without this, that takes most of the time, and the more the more programs have run before.
    """
    gc.freeze()
    return judge(program, **how)


@settings(max_examples=max(settings().max_examples * 2 // 5, 1))  # choosing takes most of the time: see the seeds below
@given(programs())
@pytest.mark.slow
def test_generated_programs_have_the_counts_of_trace(program):
    """Each line of a generated program has the count that `trace` finds, in both placements."""
    verdict = judge_alone(program)

    assert not verdict, f"{verdict}\n{program}"


@settings(max_examples=max(settings().max_examples // 10, 1))  # each runs four times, with all loaded code instrumented
@given(programs(size=25))
def test_generated_programs_have_the_functions_and_callers_of_trace(program):
    """The results of `countfuncs` and `countcallers` equal those of `trace`."""
    verdict = judge_alone(program, placements=("minimal",), compare=("countfuncs", "countcallers"))

    assert not verdict, f"{verdict}\n{program}"


@pytest.mark.parametrize("start", range(0, 180, 30))
@pytest.mark.slow
def test_random_programs_have_the_counts_of_trace(start):
    """Programs for the seeds of tests/fuzz.py have the counts of `trace`: its source of choices is not Hypothesis."""
    for seed in range(start, start + 30):
        program = random_program(seed)
        verdict = judge_alone(program)

        assert not verdict, f"seed {seed}: {verdict}\n{program}"


@pytest.mark.slow
def test_random_programs_compile_end_and_repeat_themselves():
    """Each program compiles, ends, and has the same outcome in a second run."""
    for seed in range(200):
        program = random_program(seed)

        assert run(program, trace.Trace) == run(program, trace.Trace)


@pytest.mark.slow
def test_random_programs_run_half_of_their_lines():
    """At least half of the executable lines of the programs are counted."""
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


def test_minimise_keeps_the_lines_that_the_difference_needs():
    """A program of 24 lines is reduced to at most three, which still differ."""
    lines = [f"x{n} = note({n})" for n in range(20)]
    random.Random(1).shuffle(lines)
    program = Program("if decide():\n    pass\nfor a in items():\n    b = a\n" + "\n".join(lines) + "\n", (3, 4, 5))

    def verdict_of(candidate):
        return "differs" if "x7" in candidate.source and "for" in candidate.source else ""

    small, verdict = minimise(program, verdict_of)

    assert verdict == verdict_of(small) == "differs"
    assert len(small.source.splitlines()) <= 3
    assert small.decisions == (0,)
