"""Makes RunWorks for tests, by hand and by Hypothesis, without data files."""

from hypothesis import strategies as st

from instrument.analysis.gate.work import FunctionPlace, Part, RunWork, Work

PATH = "/src/shop.py"


def run_work(functions, *, path=PATH, version="sha256:1", gaps=(), parts=None, tests=None, calls=1, has_shapes=True):
    """Return the RunWork of *functions*: a dict from name to lines, each a triple of shape, instructions and executions.

    The functions follow each other, with the number of empty lines that *gaps* give before each line.
    """
    works, shapes, line, gaps = {}, {}, 1, iter(gaps)
    for name, lines in functions.items():
        place = FunctionPlace(path, name, line)
        numbers = []
        for _ in lines:
            line += 1 + next(gaps, 0)
            numbers.append(line)
        line += 1
        works[place] = Work(
            calls,
            {number: instructions for number, (_, instructions, _) in zip(numbers, lines)},
            {number: executions for number, (_, _, executions) in zip(numbers, lines)},
        )
        shapes[place] = {number: shape for number, (shape, _, _) in zip(numbers, lines)}
    places = list(works)
    parts = {
        number: Part(places[index % len(places)], work.instructions, lambda work=work: work)
        for number, (index, work) in (parts or {}).items()
    }
    return RunWork(
        works,
        versions={path: version},
        shapes=shapes if has_shapes else {},
        ids={},
        parts=parts,
        tests=tests or {},
    )


NAMES = st.sampled_from(["f", "g", "h", "Basket.add", "Basket.<locals>.add", "<module>", "<lambda>"])
COUNTS = st.integers(0, 50)
LINES = st.lists(st.tuples(st.integers(0, 5), COUNTS, COUNTS), min_size=1, max_size=8)
FUNCTIONS = st.dictionaries(NAMES, LINES, min_size=1, max_size=5)
GAPS = st.lists(st.integers(0, 3), max_size=40)
#: Work of the lines from 2 on, which are those of the first function.
WORKS = st.builds(
    lambda calls, by_line: Work(calls, by_line, by_line), COUNTS, st.dictionaries(st.integers(2, 9), COUNTS, max_size=4)
)
PARTS = st.dictionaries(st.integers(1, 6), st.tuples(st.integers(0, 4), WORKS), max_size=6)
TESTS = st.dictionaries(
    st.sampled_from(["t.py::a", "t.py::b", "t.py::c"]),
    st.dictionaries(st.integers(1, 6), st.integers(1, 3), max_size=4),
    max_size=3,
)
