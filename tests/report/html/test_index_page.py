"""The model of the index."""

import os

from hypothesis import given
from hypothesis import strategies as st

from instrument.report.html.function_rows import FunctionRow
from instrument.report.html.index_page import MOST_ROWS_AT_FIRST, N_FUNCTIONS, FileEntry, Functions, index_page, tree
from instrument.report.html.numbers import Numbers

PARTS = st.lists(st.sampled_from(["a", "b", "c.py", "ä"]), min_size=1, max_size=5)
LABELS = st.builds(lambda root, parts: root + os.sep.join(parts), st.sampled_from(["", os.sep, os.sep * 2]), PARTS)


def entry(label, n=1):
    return FileEntry(f"page{n}", label, Numbers(n, n // 2, 0, 0, n, n, 0), True, "", 1, False)


@given(st.lists(LABELS, max_size=30))
def test_the_tree_has_each_file_once_and_sums_of_all(labels):
    """A row comes behind its folder. The numbers of a folder are the sums of the files in it."""
    entries = [entry(label, n) for n, label in enumerate(labels, 1)]
    rows = tree(entries)

    assert sorted(row.file.label for row in rows if row.file) == sorted(labels)
    assert [row.number for row in rows] == [*range(len(rows))]
    for row in rows:
        assert row.parent < row.number
        folder = rows[row.parent].label if row.parent >= 0 else ""
        assert row.label == folder + row.name + ("" if row.file else os.sep)
        assert row.depth == (rows[row.parent].depth + 1 if row.parent >= 0 else 0)
        if row.file:
            assert row.numbers == row.file.numbers
        else:
            total = Numbers()
            for each in rows:
                if each.parent == row.number:
                    total = total.plus(each.numbers)
            assert row.numbers == total


@given(st.lists(LABELS, max_size=30))
def test_a_row_is_seen_if_all_folders_above_are_open(labels):
    """That holds for the rows at first, as it does later for those of the script."""
    rows = tree(entry(label, n) for n, label in enumerate(labels))
    for row in rows:
        assert row.is_seen == (row.parent < 0 or (rows[row.parent].is_seen and rows[row.parent].is_open))


def test_a_chain_of_folders_is_one_row():
    """Only a folder with a file, or with several folders, has a row of its own."""
    rows = tree([entry("src/pkg/a.py"), entry("src/pkg/inner/deep/b.py")])
    assert [(row.name, row.depth) for row in rows] == [("src/pkg", 0), ("inner/deep", 1), ("b.py", 2), ("a.py", 1)]


def test_large_trees_are_folded_at_first():
    """A reader sees the folders of a large project first."""
    rows = tree([entry(f"{n}/{m}.py") for n in range(10) for m in range(10)])
    assert sum(row.is_seen for row in rows) == 10 <= MOST_ROWS_AT_FIRST


def test_deep_paths():
    """A data file may name a path of any depth."""
    labels = ["/".join(["a"] * depth + ["x.py"]) for depth in [*range(1, 1000), 3000]]
    rows = tree(entry(label) for label in labels)
    assert max(row.depth for row in rows) > 900
    assert sum(row.file is not None for row in rows) == len(labels)


def test_functions_of_many_files_are_dropped_early():
    """The top functions of all are those of the top functions of each file."""
    functions = Functions()
    all_rows = []
    for file in range(300):
        rows = [FunctionRow(f"page{file}", "label", f"f{n}", n, "function", file * n % 977, None) for n in range(200)]
        all_rows += rows
        functions.add(rows)
    page = index_page([entry("a.py")], functions, has_flow=False, facts=[], remarks=[])

    assert page.n_functions == len(all_rows) == 60_000
    assert [row.calls for row in page.functions] == sorted((row.calls for row in all_rows), reverse=True)[:N_FUNCTIONS]


def test_sums_and_document():
    """The document has the numbers of each file, and their sums."""
    page = index_page([entry("a.py", 3), entry("b/c.py", 5)], Functions(), has_flow=False, facts=[], remarks=[])

    assert page.sums == Numbers(8, 3, 0, 0, 8, 5, 0)
    assert page.document["sums"] == page.sums._asdict()
    assert [(each["path"], each["hits"]) for each in page.document["files"]] == [("a.py", 3), ("b/c.py", 5)]
