"""The verdict as a table for terminals."""

import io

import pytest
from gate_verdicts import BOUNDS, verdict, verdict_without_growth
from hypothesis import given
from hypothesis import strategies as st
from run_works import run_work

from instrument.analysis.gate.comparison import Comparison
from instrument.analysis.gate.verdict import Verdict
from instrument.analysis.gate.work import INSTRUCTIONS, Work
from instrument.report.gate import gate_table


def output_of(a_verdict, top=10):
    """Return the lines of the table."""
    out = io.StringIO()
    gate_table.write(a_verdict, top, out)
    return out.getvalue().splitlines()


def test_the_table_has_the_total_the_tests_and_the_functions():
    """Growth above a bound is marked; then come causes, functions that became less, and tests that are not compared."""
    assert output_of(verdict()) == [
        "Instructions              BASE  HEAD   Growth",
        "---------------------------------------------",
        "Total                       52   111  +113.5%  above --max-growth 2%",
        "t.py::test_price            40   100  +150.0%  above --max-growth-per-test 5%",
        "/src/shop.py:1 price        40   100  +150.0%  above --max-growth-per-function 10%",
        "/src/shop.py:6 new (new)     0     6      new",
        "",
        "Total: 52 → 111 instructions (+113.5%). 1 test compared: 1 grew, 0 became less.",
        "",
        "The total grew from 52 to 111 instructions (+113.5%), above --max-growth 2%:",
        "  1. /src/shop.py:3 price: the line ran 3 → 9 times",
        "     it explains 60 more instructions",
        "     > total += item",
        "  2. /src/shop.py:6 new: the function was called 0 → 1 times, by no line that is known to have run more often",
        "     it explains 6 more instructions",
        "     > total += item",
        "     /src/shop.py:7 new: 0 → 6 instructions",
        "     > total += item",
        "  66 more in lines that grew, and 7 less in other lines: the total grew by 59 instructions",
        "",
        "Test t.py::test_price grew from 40 to 100 instructions (+150.0%), above --max-growth-per-test 5%,",
        "Function price grew from 40 to 100 instructions (+150.0%), above --max-growth-per-function 10%:",
        "  1. /src/shop.py:3 price: the line ran 3 → 9 times",
        "     it explains 60 more instructions in test t.py::test_price",
        "     > total += item",
        "",
        "Became less:",
        "  /src/shop.py:6 old (gone): 4 → 0 (-100.0%)",
        "  /src/shop.py:4 refund: 8 → 5 (-37.5%)",
        "",
        "Not compared: 1 test that only HEAD has: added",
        "Not compared: 1 test that only BASE has: gone",
    ]


def test_equal_runs_have_a_short_table():
    """There is nothing to explain."""
    assert output_of(verdict_without_growth()) == [
        "Instructions  BASE  HEAD  Growth",
        "--------------------------------",
        "Total           10    10      0%",
        "",
        "Total: 10 → 10 instructions (0%).",
    ]


def test_growth_below_the_bounds_has_its_causes_too():
    """They are no failures."""
    lines = output_of(verdict(bounds=BOUNDS._replace(floor=1000)))
    assert not any("above" in line for line in lines)
    assert "Causes of the growth, none of which passes a bound:" in lines
    assert "  1. /src/shop.py:3 price: the line ran 3 → 9 times" in lines


@pytest.mark.parametrize(("top", "lines"), [(1, 1), (2, 0)])
def test_only_the_first_rows_are_shown(top, lines):
    """The others are counted."""
    output = output_of(verdict(), top)
    assert ["/src/shop.py:6 new (new)" in line for line in output].count(True) == 1 - lines
    assert ("(1 more function that grew)" in output) == bool(lines)


def test_what_passes_a_bound_comes_first():
    """Even if others grew by more instructions. So it is shown, however short the table is."""
    functions = {"large": [(1, 9000, 9)], "small": [(2, 40, 4)]}
    grown = {"large": [(1, 9100, 9)], "small": [(2, 60, 4)]}
    tests = {"test_large": {1: 1}, "test_small": {2: 1}}
    runs = [
        run_work(each, parts={n: (n - 1, Work(1, {2: lines[0][1]})) for n, lines in enumerate(each.values(), 1)}, tests=tests)
        for each in (functions, grown)
    ]
    a_verdict = Verdict(Comparison(*runs, INSTRUCTIONS), BOUNDS, lambda _place, _line: "")
    names = [line.split()[0] for line in output_of(a_verdict, 2)[2:7]]
    assert names == ["Total", "test_small", "/src/shop.py:3", "test_large", "/src/shop.py:1"]
    assert [line.split()[0] for line in output_of(a_verdict, 1)[2:5]] == ["Total", "test_small", "/src/shop.py:3"]


def test_unstable_lines_and_tests_are_named():
    """With the lines of each function."""
    lines = output_of(verdict(unstable={2, 3, 9}, unstable_tests=["u", "t"], notes=["A note."]))
    assert lines[-6:] == [
        "Left out, because the work differs from run to run: 3 lines, 90.1% of HEAD:",
        "  /src/shop.py: 2-3, 9 (price)",
        "Left out, because the work differs from run to run: 2 tests:",
        "  t",
        "  u",
        "A note.",
    ]


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_controls_the_terminal(name, test, path, text):
    """Names of functions and tests, paths and sources may have any characters."""
    a_verdict = verdict(name=f"f{name}", test=f"t{test}", path=f"/{path}", text=text)
    assert all(line.isprintable() for line in output_of(a_verdict))
