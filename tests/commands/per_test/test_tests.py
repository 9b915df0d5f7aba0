"""`instrument tests` names the tests that run a place, and `instrument show` the work of a test."""

import json
import re

import pytest
from busy_program import run_command
from counted_tests import PROGRAM
from recorded import Tree

from instrument.analysis.contexts.work import ContextWork
from instrument.commands.per_test import show, tests
from instrument.data.query import StoredMeasurement
from instrument.errors import DataError


def output_of(capsys, command, tree, *arguments, status=0):
    """Return the output of *command* about *tree*, which must end with *status*."""
    assert run_command(command, tree, *arguments) == status
    return capsys.readouterr().out


def test_all_contexts_together_have_the_counts_of_the_run(counted):
    """The first context has no name; it has the work before the first `begin`."""
    with StoredMeasurement([str(counted.data)]) as stored:
        work = ContextWork(stored)
        assert work.names() == ["", "session fixture db", *(f"t.py::test_one|{each}" for each in ("call", "setup", "teardown")), "t.py::test_two[a b]|call"]
        [file] = stored.files()
        [of_all] = work.of_contexts(work.names())
        whole, flow = stored.counts(file), stored.flow([file])
        assert work.reasons == []
    assert {line: n for line, n in of_all.lines.items() if n} == whole.lines.counts()
    assert {function: n for function, n in of_all.entered.items() if n} == whole.functions.counts()
    assert {line: n for line, n in of_all.flow.instructions.items() if n} == {line: n for line, n in flow.instructions.items() if n}
    assert {arc: n for arc, n in of_all.flow.arcs.items() if n} == {arc: n for arc, n in flow.arcs.items() if n}
    assert {line: n for line, n in of_all.flow.executions.items() if n} == {line: n for line, n in flow.executions.items() if n}


@pytest.mark.parametrize(
    ("place", "rows", "n_tests"),
    [
        ("program.py:3", ["t.py::test_one 8 setup 2, call 3, teardown 3", "t.py::test_two[a b] 1"], "2 of 2 tests run line 3"),
        ("price", ["t.py::test_one 8 setup 2, call 3, teardown 3", "t.py::test_two[a b] 1"], "2 of 2 tests run price"),
        ("Basket.add", ["t.py::test_one 1"], "1 of 2 tests runs Basket.add"),
        ("inner", ["t.py::test_one 1"], "1 of 2 tests runs Basket.add.<locals>.inner"),
        ("Basket.add.inner", ["t.py::test_one 1"], "1 of 2 tests runs Basket.add.<locals>.inner"),
        ("program.Basket.add", ["t.py::test_one 1"], "1 of 2 tests runs Basket.add"),
        ("program.fails", ["t.py::test_two[a b] 100"], "1 of 2 tests runs fails"),
        ("program.py:fails", ["t.py::test_two[a b] 100"], "1 of 2 tests runs fails"),
        ("never", [], "none of 2 tests run never"),
    ],
)
def test_tests_are_ranked_by_their_counts(place, rows, n_tests, counted, capsys, monkeypatch):
    """Work of child processes is that of the test that started them; a forked child goes on with its parent's test."""
    monkeypatch.chdir(counted.folder)
    output = output_of(capsys, tests, counted, place, status=0 if rows else 1)
    lines = [re.sub(" +", " ", line) for line in output.splitlines()]
    outside = ["outside of tests: 1 by session fixture db"] if len(rows) > 1 else []
    assert lines[2 * bool(rows) :] == [*rows, f"{n_tests} of program.py", *outside]


def test_all_commands_have_json(counted, capsys):
    """The documents have all tests with their phases, and all counts of a test."""
    document = json.loads(output_of(capsys, tests, counted, "lazy", "--json"))
    assert document["tests"] == [{"test": "t.py::test_one", "setup": 1, "call": 1, "teardown": 4}]
    assert (document["all_tests"], document["others"], document["stale"]) == (2, {}, False)
    document = json.loads(output_of(capsys, show, counted, "test_two", "--json"))
    assert document["contexts"] == [{"name": "t.py::test_two[a b]", "phase": "call"}]
    [file] = document["files"]
    [fails] = [each for each in file["functions"] if each["name"] == "fails"]
    assert (fails["calls"], fails["returned"], fails["raised"], fails["entered"]) == (100, 50, 50, 100)
    assert file["lines"]["17"] == file["executions"]["17"] == 100


def test_a_test_is_shown_by_functions_or_by_lines(counted, capsys, monkeypatch):
    """A phase of it, too. The functions with the most instructions come first."""
    monkeypatch.chdir(counted.folder)
    lines = output_of(capsys, show, counted, "test_two").splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["program.py:1", "<module>"], ["program.py:16", "fails"]]
    lines = output_of(capsys, show, counted, "test_two", "--top", "1").splitlines()
    assert len(lines) == 5
    lines = output_of(capsys, show, counted, "test_one", "--phase", "setup", "--lines").splitlines()
    assert re.sub(" +", " ", lines[2]) == "program.py 8 10 3, 5, 7-8, 24-27"


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        (show, "t.py", "2 tests have 't.py' in their names; name one of them: t.py::test_one, t.py::test_two"),
        (show, "nothing", "no test is called 'nothing', in whole or in part"),
        (tests, "x.py:3", "'x.py' is no file that ran; name its path"),
        (tests, "program.py", "'program.py' is a file; name a line, as in shop.py:17"),
        (tests, "prise", "no measured file has a function 'prise'; did you mean 'price'"),
        (tests, "other.price", "no measured file has a function 'other.price'"),
        (tests, "program.add", "no measured file has a function 'program.add'"),
        (tests, "x.py:price", "'x.py' is no file that ran"),
    ],
)
def test_errors_name_the_way_out(command, text, message, counted):
    """Names that fit nothing, or several things, are errors."""
    with pytest.raises(DataError, match=re.escape(message)):
        run_command(command, counted, text)


def test_a_file_that_has_changed_is_named(tmp_path, counted, capsys):
    """The counts are of the version that ran."""
    changed = Tree(tmp_path)
    changed.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    changed.path.write_text("# one more line\n" + PROGRAM)
    assert run_command(tests, changed, "program.py:3") == 0
    output = capsys.readouterr()
    assert "program.py has changed since it ran: the counts are of an earlier version" in output.err


def test_data_without_contexts_are_named(tmp_path):
    """Then the message says how to save them."""
    tree = Tree(tmp_path)
    tree.run("x = 1\n")
    with pytest.raises(DataError, match="no counts of single tests; save them by `pytest --instrument --instrument-contexts`"):
        run_command(show, tree, "test")


#: A module is loaded again and again, and a data file is removed before the process ends.
RELOADS = """\
import os, sys
from instrument.record import recorder
import twice
for n in range(3):
    recorder.current().begin_context("t.py::test_reload|call")
    del sys.modules["twice"]
    import twice
recorder.current().flush()
for name in os.listdir(os.environ["INSTRUMENT_DIR"]):
    if str(os.getpid()) in name:
        os.unlink(os.path.join(os.environ["INSTRUMENT_DIR"], name))
"""


def test_equal_code_has_equal_patterns_and_a_lost_file_is_written_anew(tmp_path):
    """Each load of a module makes code of its own, with the same content."""
    tree = Tree(tmp_path)
    (tmp_path / "twice.py").write_text("def f():\n    return 1\nf()\n", encoding="utf-8")
    tree.run(RELOADS, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    with StoredMeasurement([str(tree.data)]) as stored:
        work = ContextWork(stored)
        assert stored.refused == []
        [_, twice] = stored.files()
        [_, of_twice] = work.of_contexts(work.names())
        assert of_twice.lines == stored.counts(twice).lines.counts() == {1: 4, 2: 4, 3: 4}


def test_a_function_is_named_with_its_module(tmp_path, monkeypatch, capsys):
    """As in the fixture `counts`. The longest module is taken, and a package is a module, too."""
    package = tmp_path / "shop" / "db"
    package.mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").write_text("class db:\n    def query():\n        pass\n")
    (package / "__init__.py").write_text("def query():\n    pass\ndef close():\n    pass\n")
    (package / "rows.py").write_text("def query():\n    pass\n")
    tree = Tree(tmp_path)
    tree.run("import shop, shop.db.rows\n", _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="t.py::test (call)")
    monkeypatch.chdir(tmp_path)
    for name, place in (
        ("shop.db.query", "run query of shop/db/__init__.py"),
        ("shop.db.rows.query", "run query of shop/db/rows.py"),
        ("db.query", "run db.query of shop/__init__.py"),
        ("db.close", "run close of shop/db/__init__.py"),
    ):
        assert place in output_of(capsys, tests, tree, name, status=1)
    with pytest.raises(DataError, match=r"'query' may be several functions; name one: shop/db/__init__\.py:query, shop/db/rows"):
        run_command(tests, tree, "query")
