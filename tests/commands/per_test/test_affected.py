"""`instrument affected` prints the tests that changes affect, or all tests and the reason."""

import shutil

import pytest
from affected_project import (
    ALL,
    ALWAYS,
    CHEAP,
    CHILD,
    DB,
    DEAR,
    OTHER,
    TABLE,
    TABLE_AGAIN,
    Repository,
    affected_tests,
)
from instrument_command import run_instrument

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the project after a counted run."""
    project = Repository(tmp_path_factory.mktemp("affected"))
    project.record()
    return project


PRICES = {DEAR, CHEAP, TABLE, TABLE_AGAIN}
#: For each change: the path, a text, the text in its place, and the tests that it affects.
EDITS = {
    "a function that one test ran": ("shop/price.py", "item * RATE", "RATE * item", {DEAR}),
    "a function that two tests ran": ("shop/price.py", "item > 100", "item > 101", {DEAR, CHEAP}),
    "a function whose result is kept": ("shop/price.py", "{1: 2}", "{1: 3}", {TABLE, TABLE_AGAIN}),
    "a function that no test ran": ("shop/price.py", "return 0", "return 1", set()),
    "a comment": ("shop/price.py", "_table = None\n", "_table = None\n\n# nothing\n", set()),
    "a default": ("shop/price.py", "def price(item)", "def price(item=1)", PRICES),
    "a new function": ("shop/price.py", "def unused", "def other():\n    pass\ndef unused", PRICES),
    "a constant": ("shop/rates.py", "2", "3", {*PRICES, CHILD}),
    "a class attribute": ("shop/db.py", "size = 3", "size = 4", {DB, OTHER}),
    "a method that did not run": ("shop/db.py", "return self.size", "return 1", set()),
    "a function that a fixture ran": ("shop/db.py", "return {}", "return dict()", {DB, OTHER}),
    "the end of a fixture": ("shop/db.py", "db.clear()", "db.update()", {DB, OTHER}),
    "a fixture": ("tests/test_db.py", "yield connection", "yield 1", {DB, OTHER}),
    "a fixture of all tests": ("tests/conftest.py", 'return "a"', 'return "b"', ALL),
    "a test": ("tests/test_price.py", "CHEAP) == 50", "CHEAP) == 51", {CHEAP}),
    "the code of a test module": ("tests/test_price.py", "CHEAP = 50", "CHEAP = 51", PRICES),
    "an empty package": ("shop/__init__.py", None, "x = 1\n", {*PRICES, CHILD, DB, OTHER}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_changes_of_sources(edit, project):
    """A test that failed, and a test without counts, are always affected. Each test has a reason."""
    path, before, after, tests = EDITS[edit]
    with project.edited((path, before, after)):
        document = project.affected()
    assert (document["reasons_for_all"], affected_tests(document)) == ([], tests | ALWAYS)
    assert all(each["because"] for each in document["tests"])


def test_nothing_has_changed(project):
    """Only these tests are affected, whatever the text says of BASE."""
    assert affected_tests(project.affected()) == ALWAYS
    assert affected_tests(project.affected("first")) == ALWAYS


@pytest.mark.parametrize(
    ("path", "before", "after", "reason"),
    [
        ("README.md", "shop", "store", "README.md has changed, and it is not known which tests use it"),
        ("pyproject.toml", None, "", "pyproject.toml has changed, and it is not known which tests use it"),
        ("README.md", None, None, "README.md has changed, and it is not known which tests use it"),
        ("setup.py", "not", "never", "setup.py has changed, and it is not known which tests use it"),
        ("conftest.py", None, "", "conftest.py has changed, and it is not known which tests use it"),
        ("json.py", None, "", "json.py has changed, and it is not known which tests use it"),
        ("tool.py", None, "", "tool.py has changed, and it is not known which tests use it"),
    ],
)
def test_files_of_unknown_use(path, before, after, reason, project):
    """All tests must run, and the reason is named. Patterns name files that play no role."""
    with project.edited((path, before, after)):
        document = project.affected()
        assert affected_tests(project.affected("--ignore", f"docs,{path}")) == ALWAYS
    assert document["reasons_for_all"] == [reason]
    assert set(document["run"]) == ALL


def test_a_new_module_that_is_imported(project):
    """It affects the tests that may import it."""
    with project.edited(("shop/new.py", None, "X = 1\n"), ("tests/test_db.py", "pass", "import shop.new")):
        document = project.affected()
    assert (document["all"], affected_tests(document)) == (False, {DB, OTHER, *ALWAYS})


HOOK = "import pytest\ndef pytest_collection_modifyitems(items):\n    pass"


@pytest.mark.parametrize(
    ("path", "before", "after", "reason"),
    [
        ("tests/conftest.py", "import pytest", HOOK, "pytest_collection_modifyitems has changed, and pytest calls it"),
        ("tests/test_db.py", "import pytest", "import pytest, json\njson.x = 1", "an import of it changes other modules"),
    ],
)
def test_changes_that_matter_to_tests_elsewhere(path, before, after, reason, project):
    """A hook may see all tests. Module-level code may change other modules."""
    with project.edited((path, before, after)):
        reasons = project.affected()["reasons_for_all"]
    assert any(each.startswith(path) and reason in each for each in reasons)


def test_a_new_test_module_that_another_imports(project):
    """It is new, and affects the tests of the other."""
    with project.edited(("tests/test_new.py", None, "X = 1\n"), ("tests/test_db.py", "pass", "import test_new")):
        document = project.affected()
    assert document["run"] == sorted({*ALWAYS, "tests/test_db.py", "tests/test_new.py"})


def test_test_modules_that_are_new_or_gone(project):
    """A new module is printed as one node id; a module that is gone is not printed."""
    with project.edited(("tests/test_new.py", None, "def test(): pass\n"), ("tests/test_db.py", None, None)):
        document = project.affected()
    assert document["run"] == sorted({*ALWAYS, "tests/test_new.py"})
    assert {DB, OTHER} <= affected_tests(document)


def test_committed_changes_and_another_base(project):
    """A commit changes nothing about it. With a BASE, changes since then count, too."""
    with project.edited(("shop/price.py", "item * RATE", "RATE * item")):
        project.git("commit", "-q", "-a", "-m", "two")
        assert affected_tests(project.affected()) == {DEAR, *ALWAYS}
    try:
        assert affected_tests(project.affected()) == ALWAYS
        assert affected_tests(project.affected("HEAD")) == {DEAR, *ALWAYS}
        assert affected_tests(project.affected("first")) == ALWAYS
    finally:
        project.git("reset", "-q", "--hard", "first")


def test_what_it_prints(project):
    """Standard output has node ids, or a table with reasons; standard error has the number, or the reason for all."""
    with project.edited(("shop/price.py", "item * RATE", "RATE * item")):
        finished = project.command()
        assert (finished.out.split(), finished.err) == (sorted({DEAR, *ALWAYS}), "instrument: 3 of 9 tests are affected\n")
        table = project.command("--why").out.splitlines()
    assert [line.split(maxsplit=1) for line in table if line.startswith(DEAR)] == [[DEAR, "shop/price.py: discount"]]
    with project.edited(("README.md", "shop", "store")):
        finished = project.command()
    assert set(finished.out.split()) == ALL
    assert finished.err.splitlines() == [
        "instrument: all tests must run:",
        "  README.md has changed, and it is not known which tests use it",
    ]


def test_mistakes_of_the_user(project, tmp_path):
    """An unknown commit and a folder without data are named."""
    finished = project.command("nowhere")
    assert finished.status == 1
    assert finished.err.startswith("instrument: git knows no commit 'nowhere' in ")
    finished = project.command("--dir", str(tmp_path))
    assert finished.status == 1
    assert "no data in" in finished.err


def test_without_a_repository_or_a_record(tmp_path):
    """All tests must run."""
    project = Repository(tmp_path)
    project.record()
    [record] = (project.folder / ".instrument").glob("*.tests")
    (project.folder / ".git").rename(tmp_path / "git")
    [reason] = project.affected()["reasons_for_all"]
    assert "not a git repository" in reason
    (tmp_path / "git").rename(project.folder / ".git")
    record.unlink()
    document = project.affected()
    assert document["reasons_for_all"] == [
        "the data have no record of a test run; save one by `pytest --instrument --instrument-contexts`"
    ]
    assert len(document["run"]) >= 7


def test_uncommitted_sources_when_the_counts_were_saved(tmp_path):
    """The record has their texts, so their functions are compared one by one."""
    project = Repository(tmp_path)
    with project.edited(("shop/price.py", "return 0", "return 1"), ("notes.txt", None, "a")):
        project.record()
        assert affected_tests(project.affected()) == ALWAYS
        with project.edited(("shop/price.py", "item * RATE", "RATE * item")):
            assert affected_tests(project.affected()) == {DEAR, *ALWAYS}
    document = project.affected()
    assert document["reasons_for_all"] == ["notes.txt has changed, and it is not known which tests use it"]
    assert affected_tests(project.affected("--ignore", "notes.txt")) == ALWAYS


PAGE = """\
import os
def test_page():
    page = os.path.abspath("page.html")
    os.utime(page)
    exec(compile("x = 1\\ny = 2", page, "exec"), {"__file__": page})
def test_other():
    pass
"""


def test_a_template_is_compared_as_a_file(tmp_path):
    """If a test touches the template, the version in the data is that of the code that was made from it."""
    project = Repository(tmp_path, {"page.html": "<b>\n", "test_page.py": PAGE, ".gitignore": "__pycache__\n"})
    project.record(status=0)
    assert {name for name, _line in project.counts()} == {"page.html", "test_page.py"}
    assert affected_tests(project.affected()) == set()
    with project.edited(("page.html", "<b>", "<i>")):
        assert affected_tests(project.affected()) == {"test_page.py::test_page", "test_page.py::test_other"}


def test_erase_removes_the_record(tmp_path):
    """A record without counts would call tests unaffected."""
    project = Repository(tmp_path)
    project.record()
    assert run_instrument(project.folder, "erase").status == 0
    assert not list((project.folder / ".instrument").glob("*.tests"))


def test_imports_of_code_that_a_test_ran_count_for_the_test(tmp_path):
    """The test got the function without an import; the function imports the changed file."""
    files = {
        ".gitignore": "__pycache__\n",
        "rates.py": "RATE = 2\n",
        "price.py": "def price():\n    import rates\n    return rates.RATE\n",
        "test_a.py": "import builtins, price, rates\nbuiltins.shop_price = price.price\ndef test_a():\n    pass\n",
        "test_b.py": "import builtins\ndef test_b():\n    assert builtins.shop_price() == 2\ndef test_c():\n    pass\n",
    }
    project = Repository(tmp_path, files)
    project.record(status=0)
    with project.edited(("rates.py", "2", "3")):
        document = project.affected()
    assert affected_tests(document) == {"test_a.py::test_a", "test_b.py::test_b"}
