"""`instrument gate` compares the work of two runs: statuses, formats, errors, and the lines that it names as causes."""

import argparse
import json
import re
import shutil

import pytest
from gate_programs import UNSTABLE, tree_of
from recorded import Tree

from instrument.analysis.affected import recorded_runs
from instrument.analysis.affected.recorded_runs import ProjectState, RecordedRun
from instrument.commands.gating import gate
from instrument.errors import DataError

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
    def scan(self, key):
        for n in self.rows:
            if n == key:
                break
        return n
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
    "a query at the beginning of a loop": (
        "        total += factor(key % 3)\n",
        "        store.query(key)\n        total += factor(key % 3)\n",
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
    "another function is called": (
        "    row = store.query(key)\n",
        "    row = store.scan(key + 9)\n",
        "fetch",
        "store.scan(key + 9)",
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
    own, program = gate.split([*map(str, arguments)])
    options = parser.parse_args(own)
    options.command, options.refuse = program, parser.error
    return gate.execute(options)


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


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("header", ["for n in range(1000):", "with open(__file__):"])
def test_a_new_line_at_an_end_of_a_block_is_named_and_not_its_header(header, place, tmp_path, capsys):
    """Instructions of `for` and `with` span the whole block."""
    text = f"def test_block():\n    total = 0\n    {header}\n        total += 1\n        total += 2\n    return total\n"
    new = "        abs(total)\n"
    changed = text.replace(header + "\n", f"{header}\n{new}") if place == "first" else text.replace("2\n", f"2\n{new}")
    trees = [tree_of(tmp_path / name, source) for name, source in (("base", text), ("head", changed))]
    arguments = [trees[0].data, trees[1].data, "--floor", "1", "--max-growth", "0"]
    document = document_of(capsys, *arguments, status=2)
    cause = document["failures"][0]["causes"][0]
    assert cause["line"] == (4 if place == "first" else 6)


def test_code_that_has_moved_is_no_growth(base, tmp_path, capsys):
    """Comments come in between, and the whole work of the tests is the same."""
    tree = tree_of(tmp_path, MORE_COMMENTS)
    document = document_of(capsys, base, tree.data, "--floor", "1", "--max-growth", "0", "--max-growth-per-test", "0", status=0)
    assert document["functions"] == document["causes"] == document["failures"] == []
    assert document["total"]["before"] == document["total"]["after"] > 1000
    assert [each["test"] for each in document["tests"]] == ["t.py::test_fetch", "t.py::test_names", "t.py::test_report"]


@pytest.mark.parametrize("format_name", ["table", "markdown", "json", "sarif"])
def test_each_format_names_the_line(format_name, base, tmp_path, capsys):
    """Standard error has the failures in each format."""
    old, new, *_ = REGRESSIONS["a query added to a loop"]
    tree = tree_of(tmp_path, BASE.replace(old, new))
    assert run_gate(base, tree.data, "--format", format_name) == 2
    output = capsys.readouterr()
    line = tree.path.read_text().splitlines().index("        store.query(key)") + 1
    if format_name == "sarif":
        first = json.loads(output.out)["runs"][0]["results"][0]
        assert first["locations"][0]["physicalLocation"]["region"]["startLine"] == line
    elif format_name == "json":
        assert json.loads(output.out)["causes"][0]["text"] == "        store.query(key)"
    else:
        assert f"program.py:{line} report" in output.out
        assert "store.query(key)" in output.out
        assert "a new line, which ran 30 times" in output.out
    first, second = output.err.splitlines()
    assert re.fullmatch(r"instrument: the total grew from \d+ to \d+ instructions \(\+.*%\), above --max-growth 2%", first)
    assert second.startswith("instrument: test t.py::test_report grew from ")


def test_bounds_open_the_gate(base, tmp_path, capsys):
    """Larger ones, a higher floor, or none; the causes are shown all the same."""
    old, new, *_ = REGRESSIONS["a doubled loop"]
    tree = tree_of(tmp_path, BASE.replace(old, new))
    assert run_gate(base, tree.data, "--max-growth", "0") == 2
    for options in (
        ("--max-growth", "none", "--max-growth-per-test", "none"),
        ("--max-growth", "300%", "--max-growth-per-test", "300.5"),
        ("--max-growth", "0", "--max-growth-per-test", "0", "--floor", "100000"),
    ):
        capsys.readouterr()
        assert run_gate(base, tree.data, *options) == 0
        output = capsys.readouterr()
        assert output.err == ""
        assert "Causes of the growth, none of which passes a bound:" in output.out
    assert run_gate(base, tree.data, "--max-growth", "none", "--max-growth-per-test", "none", "--max-growth-per-function", "5") == 2
    assert "function report grew from" in capsys.readouterr().err
    assert run_gate(tree.data, base) == 0
    assert "Became less:" in capsys.readouterr().out


def test_executions_are_the_other_unit(base, tmp_path, capsys):
    """They count lines, whatever these cost."""
    old, new, *_ = REGRESSIONS["a doubled loop"]
    tree = tree_of(tmp_path, BASE.replace(old, new))
    document = document_of(capsys, base, tree.data, "--unit", "executions", "--floor", "10", "--max-growth", "1", status=2)
    assert document["unit"] == "executions"
    assert document["total"]["after"] - document["total"]["before"] == 60  # 30 more turns of two lines
    [cause] = document["causes"]
    assert (cause["kind"], cause["times"], cause["growth"]) == ("loop", {"before": 30, "after": 60}, 60)


def test_numbers_that_differ_from_run_to_run_are_left_out(tmp_path, monkeypatch, capsys):
    """They are named. Without a rerun they look like growth. A rerun may be of BASE or of HEAD."""
    data = []
    for seed in ("1", "5", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        data.append(tree_of(tmp_path / seed, UNSTABLE).data)
    assert run_gate(*data[:2]) == 2
    capsys.readouterr()
    document = document_of(capsys, *data[:2], "--rerun", data[2], "--max-growth", "0", "--floor", "1", status=0)
    [unstable] = document["unstable_lines"]
    assert (unstable["function"]["name"], unstable["lines"]) == ("steps", [3, 4])
    assert document["total"]["before"] == document["total"]["after"] > 1000
    assert [each["test"] for each in document["tests"]] == ["t.py::test_steady", "t.py::test_unstable"]
    assert run_gate(*data[:2], "--rerun", data[2]) == 0
    output = capsys.readouterr().out
    assert "program.py: 3-4 (steps)" in output
    assert "further run" not in output


@pytest.mark.parametrize("format_name", ["table", "markdown", "json"])
def test_further_runs_that_agree_are_named(format_name, base, tmp_path, capsys):
    """So a reader knows that the numbers are stable. A run of BASE is a further run of HEAD if the code is the same."""
    again = tree_of(tmp_path, BASE).data
    assert run_gate(base, base, "--rerun", again, "--rerun-base", again, "--format", format_name) == 0
    assert "2 further runs: no line differs" in capsys.readouterr().out
    assert run_gate(base, base, "--format", format_name) == 0
    assert "further run" not in capsys.readouterr().out


def test_data_of_affected_tests_are_named(base, tmp_path, capsys):
    """Their counts are added to those of an earlier run."""
    shutil.copytree(base, tmp_path / "head")
    for name, tests in (("one", ["a", "b"]), ("two", ["b"])):
        recorded = RecordedRun("/p", "3", ProjectState("/p", "", {}, {}), [], {}, dict.fromkeys(tests, "passed"), [], len(name))
        recorded_runs.write(recorded, str(tmp_path / "head"), name)
        assert run_gate(base, tmp_path / "head") == 0
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("instrument: HEAD: the data have the counts of 2 test runs, added up; the last ran 1 of 2 tests")


def test_a_rerun_of_base_shows_that_base_is_the_run_that_differs(tmp_path, monkeypatch, capsys):
    """BASE and HEAD have the same code. So only the option says of which of them a run is, and HEAD may have grown."""
    data = []
    for number, seed in enumerate(("1", "5", "5", "2")):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        data.append(tree_of(tmp_path / str(number), UNSTABLE).data)
    base, head, rerun, rerun_of_base = data
    assert run_gate(base, head, "--rerun", rerun) == 2
    assert run_gate(base, head, "--rerun", rerun, "--rerun-base", base) == 2
    capsys.readouterr()
    more = ("--rerun", rerun, "--rerun-base", rerun_of_base, "--max-growth", "0", "--floor", "1")
    document = document_of(capsys, base, head, *more, status=0)
    assert [each["function"]["name"] for each in document["unstable_lines"]] == ["steps"]
    assert document["total"]["before"] == document["total"]["after"] > 1000


def test_a_rerun_of_other_code_is_refused(base, tmp_path):
    """Its numbers say nothing about noise."""
    tree = tree_of(tmp_path, MORE_COMMENTS)
    with pytest.raises(DataError, match=r"of other code than BASE and HEAD: .*; name a further run of one of the"):
        run_gate(base, base, "--rerun", tree.data)
    with pytest.raises(DataError, match=r"of other code than BASE: .*; name a further run of BASE"):
        run_gate(base, tree.data, "--rerun-base", tree.data)


def test_runs_under_other_conditions_are_refused(base, tmp_path, capsys):
    """Unless the user wants the comparison, which then has a note."""
    optimized = tree_of(tmp_path / "optimized", BASE, options=["-O"])
    with pytest.raises(DataError, match=r"cannot be compared: BASE ran without -O, HEAD with -O\. Run both alike, or give"):
        run_gate(base, optimized.data)
    assert run_gate(base, optimized.data, "--compare-different", "--max-growth", "none") == 0
    assert "Compared all the same: BASE ran without -O, HEAD with -O" in capsys.readouterr().out
    twice = tree_of(tmp_path / "twice", BASE)
    twice.run(twice.path.read_text(), _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    with pytest.raises(DataError, match="BASE has 1 run, HEAD has 2 runs"):
        run_gate(base, twice.data)


def test_a_function_of_a_changed_file_is_found_in_its_new_file(tmp_path, capsys):
    """Code that moves to another module is no growth of that module."""
    body = "def work(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"
    test = "def test_work():\n    work(100)\n"
    before = tree_of(tmp_path / "before", body + test)
    (tmp_path / "after").mkdir()
    (tmp_path / "after" / "other.py").write_text(f"# Moved.\n{body}")
    after = tree_of(tmp_path / "after", "from other import work\n" + test)
    document = document_of(capsys, before.data, after.data, "--max-growth", "none", "--max-growth-per-function", "0", status=0)
    assert "work" not in {each["function"]["name"] for each in document["functions"]}
    assert document["tests"] == [{"test": "t.py::test_work", **dict.fromkeys(("before", "after"), document["tests"][0]["after"])}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "HEAD~1"), "BASE: there are no data at 'nothing', and git "),
        (("--max-growth-per-test", "5%"), "--max-growth-per-test cannot be checked: BASE and HEAD have no counts of single"),
    ],
)
def test_errors_name_the_way_out(arguments, message, tmp_path):
    """A text may be no path and no revision; data without contexts have no tests."""
    tree = Tree(tmp_path)
    tree.run("x = 1\n")
    if arguments[0] != "nothing":
        arguments = (tree.data, tree.data, *arguments)
    with pytest.raises(DataError, match=re.escape(message)):
        run_gate(*arguments)


def test_data_without_tests_are_compared_as_a_whole(tmp_path, capsys):
    """And by function."""
    one, other = Tree(tmp_path / "one"), Tree(tmp_path / "other")
    for tree, n in ((one, 100), (other, 200)):
        tree.folder.mkdir()
        tree.run(f"total = 0\nfor i in range({n}):\n    total += i\n")
    document = document_of(capsys, one.data, other.data, status=2)
    assert document["tests"] == []
    assert (document["causes"][0]["kind"], document["causes"][0]["line"]) == ("loop", 2)


def test_lines_without_counts_of_probes_cannot_be_compared(tmp_path):
    """Their instructions are not known."""
    tree = Tree(tmp_path)
    tree.run("x = 1\n", INSTRUMENT_LINES="1")
    with pytest.raises(DataError, match=r"the data of BASE cannot be compared: BASE: not compared: .*program\.py: counts of it"):
        run_gate(tree.data, tree.data)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e3", "5 %", "nan", "100%%"])
def test_percentages_are_checked(text, capsys):
    """The message shows valid ones."""
    with pytest.raises(SystemExit):
        run_gate("a", "b", f"--max-growth={text}")
    assert "is no percentage; say a number such as 2% or 0.5%, or none" in capsys.readouterr().err


def test_a_source_that_has_changed_since_head_ran_is_named(base, tmp_path, capsys):
    """Lines have no text then. Numbers still find the line that calls a function."""
    old, new, *_ = REGRESSIONS["a query added to a loop"]
    tree = tree_of(tmp_path, BASE.replace(old, new))
    line = tree.path.read_text().splitlines().index("        store.query(key)") + 1
    tree.path.write_text("# Changed.\n")
    document = document_of(capsys, base, tree.data, status=2)
    assert (document["causes"][0]["line"], document["causes"][0]["text"]) == (line, None)
    assert document["causes"][0]["growth"] > 30 * 20
    assert any("program.py' is not the version that ran" in remark for remark in document["remarks"])
