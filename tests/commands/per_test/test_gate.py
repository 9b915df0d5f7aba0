"""`instrument gate` compares the work of two runs: statuses, formats, errors, and the lines that it names as causes."""

import argparse
import json

import pytest
from gate_programs import tree_of

from instrument.commands.per_test import gate

BASE = """\
from functools import lru_cache
class Store:
    def __init__(self):
        self.rows = {n: n * n for n in range(50)}
    def query(self, key):
        parts = [key]
        for n in range(5):
            parts.append(n)
        return self.rows[key]
    def query_all(self, keys):
        return [self.rows[key] for key in keys]
@lru_cache
def factor(n):
    total = 0
    for i in range(1, 20):
        total += i * n
    return total
def names(items):
    seen = set()
    out = []
    for item in items:
        if item not in seen:
            seen.add(item)
            out.append(item)
    return out
def report(store, keys):
    total = 0
    rows = store.query_all(keys)
    for row in rows:
        total += row
    for key in keys:
        total += factor(key % 3)
    return total
def fetch(store, key):
    row = store.query(key)
    return row
def test_report():
    report(Store(), range(30))
def test_names():
    names([n % 10 for n in range(40)])
def test_fetch():
    for n in range(10):
        fetch(Store(), n)
"""
MORE_COMMENTS = "# A comment.\n\n" + BASE.replace("def fetch", "# Another one.\n\n\ndef fetch")

#: For each regression: the text in BASE, the text in its place, the function, and a part of the line that is the cause.
REGRESSIONS = {
    "a query in a loop": (
        "    rows = store.query_all(keys)\n",
        "    rows = []\n    for key in keys:\n        rows.append(store.query(key))\n",
        "report",
        "store.query(key)",
    ),
    "a query added to a loop": (
        "        total += factor(key % 3)\n",
        "        total += factor(key % 3)\n        store.query(key)\n",
        "report",
        "store.query(key)",
    ),
    "a lost cache": ("@lru_cache\n", "", "factor", "def factor(n)"),
    "from n to n squared": (
        "        if item not in seen:\n",
        "        for other in out:\n            if other == item:\n                break\n        if item not in seen:\n",
        "names",
        "for other in out",
    ),
    "a doubled loop": ("    for row in rows:\n", "    for row in rows * 2:\n", "report", "for row in rows * 2"),
    "a loop around a loop": (
        "    for row in rows:\n        total += row\n",
        "    for _ in range(2):\n        for row in rows:\n            total += row\n",
        "report",
        "for _ in range(2)",
    ),
    "an unused recomputation": (
        "    return row\n",
        "    store.query_all(range(40))\n    return row\n",
        "fetch",
        "store.query_all(range(40))",
    ),
    "a retry": (
        "    row = store.query(key)\n",
        "    for attempt in range(3):\n        row = store.query(key)\n",
        "fetch",
        "for attempt in range(3)",
    ),
    "a branch that goes the other way": ("if item not in seen", "if item not in out[:0]", "names", "if item not in out"),
    "a longer comprehension": ("for key in keys]", "for key in keys for _ in 'abc']", "Store.query_all", "for _ in 'abc'"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The data folder of a run of BASE."""
    return tree_of(tmp_path_factory.mktemp("base"), BASE).data


def run_gate(*arguments):
    """Return the status of the command with these *arguments*."""
    parser = argparse.ArgumentParser()
    gate.add_arguments(parser)
    return gate.execute(parser.parse_args([*map(str, arguments)]))


def document_of(capsys, *arguments, status):
    """Return the JSON document that the command prints; it must end with *status*."""
    assert run_gate(*arguments, "--format", "json") == status
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", REGRESSIONS)
def test_a_regression_is_found_at_its_line(name, base, tmp_path, capsys):
    """The function and the line are among the first three lines, for the total and for the test that grew most."""
    old, new, function, part = REGRESSIONS[name]
    source = MORE_COMMENTS.replace(old, new, 1)
    assert source != MORE_COMMENTS
    tree = tree_of(tmp_path, source)
    document = document_of(capsys, base, tree.data, status=2)
    lines = tree.path.read_text().splitlines()
    subjects = [each["subject"] for each in document["failures"]]
    assert subjects[:2] == ["total", "test"]
    for failure in document["failures"][:2]:
        cause = failure["causes"][0]
        named = [(cause["function"]["name"], cause["line"])]
        named += [(each["function"]["name"], each["line"]) for each in cause["lines"]]
        first = [*dict.fromkeys(named)][:3]
        assert any(name == function and part in lines[line - 1] for name, line in first), (first, failure["causes"])


def test_code_that_has_moved_is_no_growth(base, tmp_path, capsys):
    """Comments come in between, and the whole work of the tests is the same."""
    tree = tree_of(tmp_path, MORE_COMMENTS)
    document = document_of(capsys, base, tree.data, "--floor", "1", "--max-growth", "0", "--max-growth-per-test", "0", status=0)
    assert document["functions"] == document["causes"] == document["failures"] == []
    assert document["total"]["before"] == document["total"]["after"] > 1000
    assert [each["test"] for each in document["tests"]] == ["t.py::test_fetch", "t.py::test_names", "t.py::test_report"]
