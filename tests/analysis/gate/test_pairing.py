"""Pairs of files, functions and lines of two runs."""

from hypothesis import given
from hypothesis import strategies as st
from run_works import FUNCTIONS, run_work

from instrument.analysis.gate.pairing import Pairing, changed_files, pair_files, pair_lines
from instrument.analysis.gate.work import FunctionPlace

PATHS = st.sets(st.sampled_from([f"/{a}/{b}/{c}.py" for a in "xyz" for b in ("p", "q") for c in ("m", "__init__")]))
SHAPES = st.lists(st.integers(0, 4), max_size=12)


@given(PATHS, PATHS)
def test_each_file_has_one_pair_at_most(before, after):
    """Equal paths are pairs, whatever else is alike."""
    pairs = pair_files(before, after)
    assert len({*pairs.values()}) == len(pairs)
    assert pairs.keys() <= after
    assert {*pairs.values()} <= before
    assert all(pairs[path] == path for path in before & after)
    assert pair_files(after, before) == {one: other for other, one in pairs.items()}


@given(PATHS)
def test_the_files_of_two_checkouts_are_pairs(paths):
    """The folders of the checkouts do not matter."""
    pairs = pair_files([f"/base{path}" for path in paths], [f"/head{path}" for path in paths])
    assert pairs == {f"/head{path}": f"/base{path}" for path in paths}


def test_a_file_that_fits_two_others_has_no_pair():
    """A guess would compare two modules that have nothing to do with each other."""
    assert pair_files(["/a/x/util.py", "/a/y/util.py"], ["/b/util.py"]) == {}
    assert pair_files(["/a/x/util.py"], ["/b/z/util.py"]) == {"/b/z/util.py": "/a/x/util.py"}


@given(SHAPES, SHAPES)
def test_lines_of_equal_shapes_are_pairs(before, after):
    """Each line has one pair at most, and no line stays alone if a line of its shape is left on the other side."""
    pairs = pair_lines([*enumerate(before, 10)], [*enumerate(after, 20)])
    assert len({*pairs.values()}) == len(pairs)
    left_before = [shape for line, shape in enumerate(before, 10) if line not in pairs.values()]
    left_after = [shape for line, shape in enumerate(after, 20) if line not in pairs]
    assert not {*left_before} & {*left_after}


@given(SHAPES, st.integers(0, 12), SHAPES)
def test_inserted_lines_part_no_pairs(shapes, at, inserted):
    """The lines before and behind them keep their pairs, if the inserted lines have other shapes."""
    after = [*shapes[:at], *(shape + 100 for shape in inserted), *shapes[at:]]
    pairs = pair_lines([*enumerate(shapes)], [*enumerate(after)])
    at = min(at, len(shapes))
    assert pairs == {line if line < at else line + len(inserted): line for line in range(len(shapes))}


@given(FUNCTIONS)
def test_lines_of_a_file_that_did_not_change_need_no_shapes(functions):
    """They have the same numbers."""
    one, other = run_work(functions, has_shapes=False), run_work(functions, path="/x/src/shop.py", has_shapes=False)
    pairing = Pairing(one, other)
    assert {pairing.lines(place) for place in pairing.functions} == {None}
    assert len(pairing.functions) == len(one.functions)
    assert changed_files(one, other) == ([], [])


def names(pairing):
    return {place.name: earlier.name for place, earlier in pairing.functions.items()}


def test_functions_are_recognised_under_another_name_and_in_another_file():
    """By their lines, if these are not too few; by their ids, if these are known."""
    body = [(1, 5, 1), (2, 5, 1), (3, 5, 1)]
    one = run_work({"Basket.add": body, "small": [(9, 1, 1)], "same": [(8, 1, 1)]})
    other = run_work({"Cart.add": body, "tiny": [(9, 1, 1)], "same": [(7, 1, 1), (8, 1, 1)]}, version="sha256:2")
    assert names(Pairing(one, other)) == {"Cart.add": "Basket.add", "same": "same"}
    moved = run_work({"Cart.add": body}, path="/src/cart.py", version="sha256:3")
    assert names(Pairing(one, moved)) == {"Cart.add": "Basket.add"}
    unlike = run_work({"small": [(4, 1, 1)]}, path="/src/cart.py", version="sha256:3")
    assert names(Pairing(one, unlike)) == {}
    one.ids[FunctionPlace("/src/shop.py", "small", 5)] = unlike.ids[FunctionPlace("/src/cart.py", "small", 1)] = "small@1"
    assert names(Pairing(one, unlike)) == {"small": "small"}


def test_of_two_functions_with_one_name_the_unchanged_one_is_recognised():
    """A property has a getter and a setter of the same name."""
    getter, setter = [(1, 1, 1)], [(2, 1, 1), (3, 1, 1)]
    one, other = (run_work({"a": getter, "b": lines}, version=str(n)) for n, lines in enumerate((setter, [*setter, (4, 1, 1)])))
    for run in (one, other):
        for table in (run.functions, run.shapes):
            for place in [*table]:
                table[place._replace(name="p")] = table.pop(place)
    shuffled = run_work({"b": [*setter, (4, 1, 1)], "a": getter}, version="3")
    for table in (shuffled.functions, shuffled.shapes):
        for place in [*table]:
            table[place._replace(name="p")] = table.pop(place)
    assert {place.line: earlier.line for place, earlier in Pairing(one, other).functions.items()} == {1: 1, 3: 3}
    assert {place.line: earlier.line for place, earlier in Pairing(one, shuffled).functions.items()} == {5: 1, 1: 3}
