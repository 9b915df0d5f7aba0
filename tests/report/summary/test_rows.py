"""Rows of the summary: their numbers are those of coverage.py, and all columns fit the choices."""

import pytest
from analysed_files import analysed, flow_of
from coverage.results import Numbers as NumbersOfCoverage
from coverage.results import format_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder

from instrument.analysis.file_analysis import SORTS
from instrument.report.formats import Choices
from instrument.report.summary.numbers import Numbers
from instrument.report.summary.rows import Summary, missing_text

SOURCE = "if x:\n    y = 1\n" * 5
N_LINES = 10
LINES = st.integers(1, N_LINES)
#: Which lines ran, and how often ways between lines were taken.
RAN = st.sets(LINES)
WAYS = [(line, line + step) for line in range(1, N_LINES - 1, 2) for step in (1, 2)]
ARCS = st.dictionaries(st.sampled_from([*WAYS, (N_LINES - 1, N_LINES), (N_LINES - 1, 0)]), st.integers(0, 2))
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def summary(*files, marks=(), **choices):
    return Summary(files, Choices(**choices), marks)


@in_one_folder
@given(RAN, ARCS)
def test_missing_lines_and_ways_are_listed_as_in_coverage_py(ran, arcs):
    """A way is listed at its line, unless it leads from or to a missing line."""
    file = analysed(N_LINES, dict.fromkeys(ran, 1), flow=flow_of(arcs), source=SOURCE)
    every = set(range(1, N_LINES + 1))
    several = {line for line, _target in arcs if sum(source == line for source, _target in arcs) > 1}
    missing = {}
    for (line, target), count in arcs.items():
        if line in several and not count:
            missing.setdefault(line, []).append(target or -1)

    assert missing_text(file, with_branches=False) == format_lines(every, every - ran)
    assert missing_text(file, with_branches=True) == format_lines(every, every - ran, missing.items())


@in_one_folder
@given(RAN, ARCS, st.integers(0, 4))
def test_shares_are_those_of_coverage_py(ran, arcs, precision):
    """With branches, each way counts as one more line."""
    file = analysed(N_LINES, dict.fromkeys(ran, 1), flow=flow_of(arcs), source=SOURCE)
    for with_branches in (False, True):
        numbers = NumbersOfCoverage(
            precision=precision,
            n_statements=N_LINES,
            n_missing=N_LINES - len(ran),
            n_branches=file.n_arcs if with_branches else 0,
            n_missing_branches=file.n_missing_arcs if with_branches else 0,
        )
        table = summary(file, with_branches=with_branches, precision=precision)
        column = table.head.index("Ran")

        assert table.rows[0][column] == table.total[column] == f"{numbers.pc_covered_str}%"


def test_all_columns():
    """A file without flow has no branches and no cost; the totals are of the others, and a note says so."""
    flow = flow_of({(1, 2): 4, (1, 0): 0, (2, 3): 1}, instructions={1: 20, 2: 3}, executions={1: 4, 2: 2})
    m = analysed(3, {1: 4, 2: 4}, flow=flow, source="if x:\n    y = 1\n    z = 1\n")
    files = m, analysed(2, {1: 7}, name="n.py"), analysed(1, name="o.py")
    table = summary(*files, with_branches=True, with_cost=True, with_missing=True)

    assert table.head == [
        *["File", "Lines", "Missing", "Branch", "BrMiss", "Ran", "Instructions", "Hits", "Hottest line", ""]
    ]
    assert table.rows == [
        ["m.py", "3", "1", "2", "1", "60%", "23", "8", "1: 4", "1->exit, 3"],
        ["n.py", "2", "1", "-", "-", "50%", "-", "7", "1: 7", "2"],
        ["o.py", "1", "1", "-", "-", "0%", "-", "0", "never imported", "1"],
    ]
    assert table.total == ["Total", "6", "3", "2", "1", "50%", "23", "15", "", ""]
    assert table.notes == ["(not known for 2 files: branches, instructions)"]
    assert summary(files[1], with_branches=True, with_cost=True).total[3:7] == ["-", "-", "50%", "-"]


def test_executions_are_another_unit_of_hits():
    """Files without them have a dash."""
    flow = flow_of({}, executions={1: 4, 2: 5})
    table = summary(analysed(3, {1: 4, 2: 6}, flow=flow), analysed(2, {1: 7}, name="n.py"), unit="executions")

    assert [row[-2:] for row in table.rows] == [["9", "2: 5"], ["-", "-"]]
    assert table.total[-2:] == ["9", ""]
    assert table.notes[0].startswith("(hits are executions: ")
    assert table.notes[1:] == ["(not known for 1 file: executions)"]


def test_counts_are_clipped_and_separated():
    """A note says that counts were clipped, if one was."""
    file = analysed(3, {1: 123456, 2: 5})

    assert summary(file, with_thousands=True).rows[0][-2:] == ["123,461", "1: 123,456"]
    table = summary(file, max_count=1000, with_thousands=True)
    assert table.rows[0][-2:] == ["1,000", "1: 1,000"]
    assert table.notes == ["(counts above 1000 are shown as 1000)"]
    assert summary(file, max_count=123461).notes == []


def test_rows_are_left_out_and_counted():
    """The total is of all files. A file whose lines or branches are not known is never left out as covered."""
    flow = flow_of({(1, 2): 1, (1, 0): 0})
    full = analysed(2, {1: 1, 2: 1}, name="full.py", flow=flow, source="if x:\n    y = 1\n")
    half = analysed(2, {1: 1}, name="half.py")
    empty = analysed(0, {}, name="empty.py")
    unknown = analysed(1, {1: 1}, name="unknown.py", is_known=False)
    files = full, half, empty, unknown

    def names(**choices):
        table = summary(*files, **choices)
        assert table.total[:3] == ["Total", "4", "1"]
        return [row[0] for row in table.rows], table.notes

    assert names(skip_covered=True) == (
        ["half.py", "unknown.py (missing)"],
        ["(2 files not shown: nothing is missing there)"],
    )
    assert names(skip_covered=True, with_branches=True)[0] == ["full.py", "half.py", "empty.py", "unknown.py (missing)"]
    assert names(skip_empty=True) == (
        ["full.py", "half.py", "unknown.py (missing)"],
        ["(1 file not shown: no line there can run)"],
    )
    assert names(top=1) == (["full.py"], ["(3 more rows not shown; the total is of all files)"])
    assert names(top=4)[1] == []


@pytest.mark.parametrize("sort", SORTS)
def test_each_order_can_be_reversed(sort):
    """Numbers come from the top, and from the bottom in reverse. Unknown numbers come last in both cases."""
    if_flow = flow_of({(1, 2): 1, (1, 0): 1}, instructions={1: 1})
    while_flow = flow_of({(1, 2): 1, (1, 0): 1, (2, 0): 1, (2, 1): 1}, instructions={1: 5})
    files = [
        analysed(3, {1: 5}, name="a.py", flow=if_flow, source="if x:\n    y = 1\n    z = 1\n"),
        analysed(1, {1: 1}, name="b.py", flow=flow_of({}, instructions={1: 9})),
        analysed(2, {1: 3, 2: 3}, name="c.py", flow=while_flow, source="while x:\n    if y: break\n"),
    ]
    unknown = analysed(1, {1: 0}, name="d.py", is_known=False)

    def names(order):
        ordered = sorted([*files, unknown], key=lambda file: file.sort_key(order), reverse=order == "-file")
        return "".join(file.path[-4] for file in ordered)

    expected = {
        "file": ("abcd", "dcba"),
        "lines": ("acbd", "bcad"),
        "missing": ("abcd", "bcad"),
        "ran": ("bcad", "abcd"),
        "hits": ("cabd", "dbac"),
        "hottest": ("acbd", "dbca"),
        "branches": ("cabd", "bacd"),
        "cost": ("bcad", "acbd"),
    }
    assert (names(sort), names(f"-{sort}")) == expected[sort]


def test_shares_and_hits_have_styles_and_marks():
    """Hits are on a logarithmic scale; shares have a mark for the same facts as the colour."""
    files = [analysed(20, dict.fromkeys(range(1, n), 10 ** (n // 3)), name=f"f{n}.py") for n in (2, 15, 16, 18, 19, 21)]
    table = summary(*files, marks=("+", "~", "!"))
    column = table.head.index("Ran")

    assert [(row[column], row[column].style) for row in table.rows] == [
        *[("! 5%", "low"), ("! 70%", "low"), ("~ 75%", "medium"), ("~ 85%", "medium")],
        *[("+ 90%", "high"), ("+ 100%", "high")],
    ]
    heats = [row[column + 1].style for row in table.rows]
    assert heats == sorted(heats)
    assert {heats[0], heats[-1]} == {"heat0", "heat5"}
    assert summary(*files).rows[0][column] == "5%"


@in_one_folder
@given(st.lists(st.tuples(st.integers(1, 5), RAN), max_size=4))
def test_numbers_are_sums_over_files(files):
    """The share of all files is that of their sums."""
    analyses = [
        analysed(n, dict.fromkeys((line for line in ran if line <= n), 2), name=f"f{number}.py")
        for number, (n, ran) in enumerate(files)
    ]
    numbers = Numbers(analyses, "events")

    assert numbers.n_lines == sum(n for n, _ran in files)
    assert numbers.n_missing == sum(n - len([line for line in ran if line <= n]) for n, ran in files)
    assert numbers.share(with_branches=True) == (numbers.n_lines - numbers.n_missing, numbers.n_lines)
    assert numbers.hits == 2 * (numbers.n_lines - numbers.n_missing)
    assert numbers.n_without_flow == numbers.n_files == len(files)
