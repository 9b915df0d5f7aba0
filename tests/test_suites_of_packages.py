"""The comparisons and the tables of benchmarks/suites.py. No test depends on a time."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
COUNTS = st.dictionaries(st.sampled_from(["a.py", "b.py"]), st.dictionaries(st.integers(1, 3).map(str), st.integers(0, 2)))


@pytest.fixture(scope="module")
def suites():
    """The modules of the benchmark, imported as its command imports them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        modules = {name: importlib.import_module(f"suites.{name}") for name in ("times", "verdicts")}
        yield SimpleNamespace(**modules, within=importlib.import_module("suites.within.record_verdicts"))


@given(one=COUNTS, other=COUNTS)
def test_lines_differ_if_their_counts_do(suites, one, other):
    """A line that is missing has the count 0, and the numbers of lines are texts in JSON."""
    found = suites.verdicts.differing(one, other)
    for file in ("a.py", "b.py"):
        for line in (1, 2, 3):
            pair = tuple(counts.get(file, {}).get(str(line), 0) for counts in (one, other))
            assert found.get((file, line), pair) == pair
            assert ((file, line) in found) == (pair[0] != pair[1])


VARIABLES = st.dictionaries(st.text("AB_", min_size=1), st.text("xy"), max_size=5)


@given(parent=VARIABLES, child=VARIABLES)
def test_environments_have_one_size(suites, parent, child):
    """A worker inherits the variables of its parent process and has more of its own. Neither loses one."""
    variables = {**parent}
    suites.within.fill_up(variables)
    assert len(variables) == suites.within.N_VARIABLES
    assert variables.items() >= parent.items()

    variables.update(child)
    suites.within.fill_up(variables)
    assert len(variables) == suites.within.N_VARIABLES
    assert variables.items() >= {**parent, **child}.items()


def run_of(verdicts, output, status=0):
    return SimpleNamespace(ended=SimpleNamespace(status=status, output=output), verdicts=verdicts)


def test_verdicts_status_and_output_are_compared_without_times(suites):
    """Progress, times, addresses and names of workers differ from run to run."""
    plain = run_of({("t.py::a", "call"): ("passed",)}, ".. [100%]\n<object at 0x12345678>\n1 passed in 1.00s\n")
    same = run_of(plain.verdicts, ". [ 50%]\n[gw1] <object at 0x87654321>\n1 passed in 21.00s\n")
    other = run_of({("t.py::a", "call"): ("failed",)}, "<object at 0x12345678>\n1 failed in 1.00s\n", 1)

    assert suites.verdicts.differences_of_ends(plain, same) == []
    assert suites.verdicts.differences_of_ends(plain, other) == [
        "exit status 1, plain 0",
        "t.py::a call: failed, plain passed",
        "not in the output: 1 passed in _s",
        "only in the output: 1 failed in _s",
    ]


@given(progress=st.text(".FEsxXu ", min_size=1), share=st.integers(0, 100))
def test_progress_of_tests_and_subtests_is_no_difference(suites, progress, share):
    """A long line that is no progress does not take long either."""
    assert suites.verdicts.without_noise(f"{progress}[{share:>3}%]") == ""
    assert suites.verdicts.without_noise(progress) == ""
    text = f"{progress * 100}!"
    assert suites.verdicts.without_noise(text) == text


def test_a_table_has_medians_of_ratios_of_rounds(suites):
    """Ratios are those of one round, and a mode that fails has no numbers."""
    timing = suites.times.Timing(SimpleNamespace(suite=SimpleNamespace(name="shop")), ["plain", "warm", "pyxtrace"])
    timing.cpu = {"plain": [1.0, 2.0, 4.0], "warm": [2.0, 2.0, 6.0], "pyxtrace": []}
    timing.notes = {"pyxtrace": "no tests"}
    heads, _, row, mean, worst = suites.times.table([timing], "cpu")

    assert heads == "| package | plain, s | --instrument |"
    assert row == "| shop | 2.00 | 1.50 (1.00 to 2.00) |"
    assert (mean, worst) == ("| geometric mean | | 1.50 |", "| worst | | 1.50 |")
