"""Lines are listed with their counts: all of a cell, and functions and statements that ran of other files."""

import itertools
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.notebook.listing import Function, ListedLine, Section, Source, lines_of

TEXT = textwrap.dedent('''\
    """Docstring."""
    import os

    @first
    @second
    def decorated(a, b=os.sep):
        """Docstring."""
        def inner():
            return a
        if a:
            return inner  # pragma: no cover
        return b

    class Shop:
        limit: int = 3

        def sell(self): return 1

        async def wait(self):
            await later()

        class Inner:
            def deep(self):
                pass

    if os.name:
        def conditional():
            return 1
    else:
        double = lambda x: (
            x + x
        )
    x: int
    await later()
    ''')
FUNCTIONS = [
    Function("decorated", 4, 7, 12),
    Function("Shop.sell", 17, 17, 17),
    Function("Shop.wait", 19, 20, 20),
    Function("Shop.Inner.deep", 23, 24, 24),
    Function("conditional", 27, 28, 28),
]
counts = st.dictionaries(st.integers(1, len(lines_of(TEXT))), st.integers(1, 9))


def test_functions_have_their_names_and_lines():
    """The first line is that of the first decorator. Functions in a function are part of it."""
    assert Source(TEXT).functions == FUNCTIONS


def test_lines_that_can_run_are_those_of_reports():
    """Docstrings, annotations and excluded lines are left out, and so are lines without code."""
    assert sorted(Source(TEXT).can_run) == [2, 4, 5, 6, 8, 9, 10, 12, 14, 15, 17, 19, 20, 22, 23, 24, 26, 27, 28, 30, 31, 34]


@given(counts)
def test_a_cell_is_listed_whole(counts):
    """Each line has its count, and 0 if it can run and did not."""
    source = Source(TEXT)
    lines = source.whole(counts)

    assert [line.text for line in lines] == TEXT.splitlines()
    assert {line.number: line.times for line in lines if line.times} == counts
    assert {line.number for line in lines if line.times == 0} == source.can_run - counts.keys()


@given(counts)
def test_parts_have_all_lines_that_ran_and_the_whole_of_their_functions(counts):
    """No count is lost. Only lines in the body of a function that ran have the count 0."""
    source = Source(TEXT)
    section = source.parts("shop.py", counts)
    ran = [function for function in FUNCTIONS if any(function.body <= line <= function.last for line in counts)]
    listed = {line.number for line in section.lines}

    assert {line.number: line.times for line in section.lines if line.times} == counts
    assert section.functions == tuple(function.name for function in ran)
    assert all(listed.issuperset(range(function.first, function.last + 1)) for function in ran)
    zero = {line.number for line in section.lines if line.times == 0}
    bodies = {line for function in ran for line in range(function.body, function.last + 1)}
    assert zero == (source.can_run & bodies) - counts.keys()
    assert section.hits() == sum(counts.values())


def test_a_lambda_is_listed_with_its_statement():
    """A statement of several lines is listed whole."""
    assert Source(TEXT).parts("", {31: 5}).lines == (
        ListedLine(30, "    double = lambda x: (", None),
        ListedLine(31, "        x + x", 5),
        ListedLine(32, "    )", None),
    )


@given(st.lists(st.integers(1, 30), unique=True).map(sorted))
def test_runs_of_lines_follow_each_other_in_the_file(numbers):
    """Together they are all lines, and there is a gap between any two."""
    lines = tuple(ListedLine(number, "", None) for number in numbers)
    runs = list(Section("", (), lines).runs_of_lines())

    assert tuple(line for run in runs for line in run) == lines
    assert all(run[-1].number - run[0].number == len(run) - 1 for run in runs)
    assert all(one[-1].number + 1 < other[0].number for one, other in itertools.pairwise(runs))


@pytest.mark.parametrize("text", ["x = = 1\n", "return\n", "\0", "x = 'a\n", "(" * 500])
def test_of_a_text_that_cannot_be_compiled_counts_are_listed(text):
    """No line is called missing."""
    source = Source(text)

    assert source.whole({1: 3})[0].times == 3
    assert source.parts("", {1: 3}).hits() == 3
    assert (source.functions, source.can_run) == ([], frozenset())


@given(st.lists(st.text(st.characters(exclude_characters="\r\n"))), st.sampled_from(["\n", "\r", "\r\n"]))
def test_lines_end_as_for_the_compiler(lines, end):
    """Other characters, such as a form feed, end no line."""
    assert lines_of("".join(f"{line}{end}" for line in lines)) == lines
    assert lines_of(f"{end.join(lines)}{end}x") == [*(lines or [""]), "x"]
