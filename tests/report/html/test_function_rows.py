"""Ranks of functions."""

from html_pages import HOSTILE, analysed, flow_of_source
from hypothesis import given
from hypothesis import strategies as st

from instrument.model.flow_counts import FunctionFlow
from instrument.report.html.function_rows import FunctionRow, first_by_calls_and_cost, function_rows, ranked

ROWS = st.lists(
    st.builds(
        lambda n, calls, cost: FunctionRow("page", "label", f"f{n}", n, "function", calls, FunctionFlow(calls or 0, 0, 0, 0, cost)),
        st.integers(0, 10**6),
        st.one_of(st.none(), st.integers(0, 100)),
        st.integers(0, 100),
    ),
    unique_by=lambda row: row.name,
)


def test_functions_without_flow(tmp_path):
    """Entries are the calls, and functions that were never called are listed, too."""
    rows = function_rows(analysed(tmp_path / "a.py"), "page", "a.py")

    assert [(row.name, row.line, row.kind, row.calls, row.flow) for row in rows] == [
        ("<module>", 1, "module", 1, None),
        ("price", 1, "function", 1, None),
        ("refund", 9, "function", 0, None),
    ]


def test_functions_with_flow(tmp_path):
    """Calls and cost are those of the flow, which counts no resumption as a call."""
    file = analysed(tmp_path / "a.py", functions={("price", 1): 77}, flow=flow_of_source())
    rows = {row.name: row for row in function_rows(file, "page", "a.py")}

    assert (rows["price"].calls, rows["price"].cost) == (1, 27)
    assert (rows["refund"].calls, rows["refund"].cost) == (0, 0)


def test_names_are_printable(tmp_path):
    """A name of a data file cannot change the order of characters."""
    [row] = [row for row in function_rows(analysed(tmp_path / "a.py", functions={(HOSTILE, 3): 1}), "page", "a.py") if row.line == 3]
    assert row.name.isprintable()


@given(ROWS, st.integers(0, 5))
def test_the_first_by_calls_and_by_cost(rows, n):
    """No function that is left out has more calls, or a greater cost, than the chosen ones."""
    top = first_by_calls_and_cost(rows, n)
    called = [row for row in rows if row.calls]
    left_out = [row for row in called if row not in top]

    assert top == ranked(top)
    assert set(top) <= set(called)
    assert min(len(called), n) <= len(top) <= 2 * n
    for number in (lambda row: row.calls, lambda row: row.cost):
        best = sorted((number(row) for row in called), reverse=True)[:n]
        assert all(number(row) <= best[-1] for row in left_out if best)
