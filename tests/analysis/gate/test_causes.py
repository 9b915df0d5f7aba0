"""Causes explain all growth, once; they lead through calls to the line that decided so."""

from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.gate.causes import causes_of
from instrument.analysis.gate.comparison import FunctionChange
from instrument.analysis.gate.line_causes import CALLS, LOOP, NEW_LINE, START
from instrument.analysis.gate.work import INSTRUCTIONS, UNITS, FunctionPlace, Work

N = st.integers(0, 30)
LINE = st.integers(2, 7)
WORKS = st.builds(
    Work,
    N,
    st.dictionaries(LINE, N, max_size=6),
    st.dictionaries(LINE, N, max_size=6),
    st.dictionaries(st.tuples(LINE, st.sampled_from([-1, 0, 2, 3, 4, 5, 6, 7])), N, max_size=10),
)
NAMES = ("f", "g", "h.<locals>.wrapper", "C.__init__")
TEXTS = st.dictionaries(st.tuples(st.sampled_from(NAMES), LINE), st.sampled_from(["f()", "g(x)", "C(1)", "x = 1"]))


def place(name):
    return FunctionPlace("/src/shop.py", name, 1)


@st.composite
def changes(draw):
    """Draw changes of functions of any kind, also impossible ones."""
    drawn = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4)):
        before, after = draw(WORKS), draw(WORKS)
        lines, state = sorted(after.instructions), draw(st.sampled_from(["both", "both", "new", "gone"]))
        new_lines = draw(st.sets(st.sampled_from(lines))) if lines else set()
        changed_lines = draw(st.sets(st.sampled_from(lines))) - new_lines if lines else set()
        one = None if state == "new" else place(name)
        other = None if state == "gone" else place(name)
        work = Work() if one is None else before, Work() if other is None else after
        drawn.append(FunctionChange(one, other, *work, new_lines, changed_lines))
    return drawn


@given(changes(), TEXTS, st.sampled_from(UNITS))
def test_causes_explain_all_growth_once(functions, texts, unit):
    """Each line that grew has one cause, whatever the counts are; the search always ends."""
    causes = causes_of(functions, unit, lambda place, line: texts.get((place.name, line), ""))
    grown = {
        (change.place, line): growth.change
        for change in functions
        for line, growth in change.line_growth(unit).items()
        if growth.change > 0
    }
    assert sum(cause.growth for cause in causes) == sum(grown.values())
    assert [cause.growth for cause in causes] == sorted((cause.growth for cause in causes), reverse=True)
    assert len({(cause.place, cause.line, cause.kind, cause.target) for cause in causes}) == len(causes)
    assert all(cause.kind != START and cause.line > 0 for cause in causes)
    assert {(each.place, each.line) for cause in causes for each in cause.lines} >= grown.keys()
    for cause in causes:
        of_others = [each.place != cause.place for each in cause.lines]
        assert of_others == sorted(of_others)


def called(name, n_before, n_after):
    """Return the change of a function of one line, 2, that is called more often."""
    return FunctionChange(
        place(name), place(name), Work(n_before, {2: 10 * n_before}, {2: n_before}), Work(n_after, {2: 10 * n_after}, {2: n_after})
    )


def looping(name, n_before, n_after):
    """Return the change of a function with a loop on line 2 that turns more often; its body is line 3."""

    def work(turns):
        arcs = {(2, 3): turns, (3, 2): turns, (2, 0): 1}
        return Work(1, {2: 2 * turns, 3: 4 * turns}, {2: turns + 1, 3: turns}, arcs)

    return FunctionChange(place(name), place(name), work(n_before), work(n_after))


def test_the_search_goes_on_at_the_line_that_names_the_function():
    """Through several functions. The growth of all of them has one cause, and is part of the line that calls."""
    texts = {("loop", 3): "self.f(x)", ("f", 2): "return g(1)", ("other", 3): "f"}
    functions = [looping("loop", 5, 50), called("A.f", 5, 50), called("g", 5, 50)]
    texts["A.f", 2] = texts.pop(("f", 2))
    [cause] = causes_of(functions, INSTRUCTIONS, lambda place, line: texts.get((place.name, line), ""))
    assert (cause.kind, cause.place.name, cause.line, cause.counts) == (LOOP, "loop", 2, (5, 50))
    assert cause.growth == 45 * (2 + 4 + 10 + 10)
    assert [(each.place.name, each.line, each.inclusive) for each in cause.lines] == [
        ("loop", 3, 45 * 24), ("loop", 2, 45 * 2), ("A.f", 2, 45 * 20), ("g", 2, 45 * 10),
    ]


def test_exact_numbers_find_the_line_that_calls_without_a_name():
    """As `with`, an operator or a decorator does."""
    functions = [looping("loop", 5, 50), looping("other", 5, 60), called("Shop.__enter__", 5, 50)]
    causes = causes_of(functions, INSTRUCTIONS, lambda _place, _line: "with shop:")
    assert [(cause.place.name, cause.growth) for cause in causes] == [("loop", 45 * 16), ("other", 55 * 6)]


def test_a_lost_cache_is_found_at_the_function():
    """No line that calls it runs more often."""
    [cause] = causes_of([called("f", 3, 300)], INSTRUCTIONS, lambda _place, _line: "f()")
    assert (cause.kind, cause.line, cause.counts) == (CALLS, 1, (3, 300))


def test_a_new_line_that_calls_an_old_function():
    """It explains the work of that function."""
    before, after = Work(1, {2: 5}, {2: 1}, {(2, 0): 1}), Work(1, {2: 5, 3: 4}, {2: 1, 3: 1}, {(2, 3): 1, (3, 0): 1})
    caller = FunctionChange(place("report"), place("report"), before, after, {3})
    [cause] = causes_of([caller, called("f", 3, 4)], INSTRUCTIONS, lambda place, line: "f()" if line == 3 else "")
    assert (cause.kind, cause.place.name, cause.line, cause.growth) == (NEW_LINE, "report", 3, 14)
