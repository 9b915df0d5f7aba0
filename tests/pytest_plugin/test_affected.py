"""`pytest --instrument-affected` runs the tests that changes affect, or all tests with the reason."""

import re
import shutil

import pytest
from affected_project import ALL, CHEAP, DEAR, FILES, TABLE, TABLE_AGAIN, Repository, affected_tests

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

#: The project without tests that are always affected.
WITHOUT_FAILURES = {
    **FILES,
    "tests/test_price.py": FILES["tests/test_price.py"].partition("@pytest.mark.skip")[0],
    "tests/test_child.py": FILES["tests/test_child.py"].partition("def test_failing")[0],
}
N_TESTS = len(ALL) - 2
EDIT = ("shop/price.py", "item * RATE", "RATE * item")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the project after a counted run."""
    project = Repository(tmp_path_factory.mktemp("affected"), WITHOUT_FAILURES)
    project.record(status=0)
    return project


def passed_tests(output):
    """Return the tests with a verdict in the *output* of `pytest -v`."""
    verdicts = re.findall(r"(tests/\S+::\S+) PASSED|PASSED (tests/\S+::\S+)", output)
    return {test or test_of_worker for test, test_of_worker in verdicts}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_only_affected_tests_run(workers, project):
    """All workers of xdist leave out the same tests."""
    with project.edited(EDIT):
        output = project.run("-v", "--instrument-affected", *workers)
    assert f"instrument: 1 of {N_TESTS} tests is affected; new tests run, too" in output
    assert passed_tests(output) == {DEAR}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_no_test_is_affected(workers, project):
    """The run succeeds: nothing is to be done. Without the option, pytest calls an empty run a failure."""
    output = project.run("--instrument-affected", *workers)
    assert f"instrument: 0 of {N_TESTS} tests are affected" in output
    project.run("-k", "no_such_test", status=5)


def test_new_tests_run(project):
    """A test without counts is new."""
    with project.edited(("tests/test_new.py", None, "def test_new(): pass\n")):
        output = project.run("-v", "--instrument-affected")
    assert passed_tests(output) == {"tests/test_new.py::test_new"}


def test_all_tests_run_if_the_effect_is_not_known(project):
    """The reason is in the header. A pattern in the ini file, or an option, names files that play no role."""
    with project.edited(("README.md", "shop", "store")):
        output = project.run("-v", "--instrument-affected")
        assert "instrument: all tests run: README.md has changed, and it is not known which tests use it" in output
        assert len(passed_tests(output)) == N_TESTS
        for words in (["--instrument-affected-ignore=*.md"], ["-o", "instrument_affected_ignore=*.md"]):
            assert f"0 of {N_TESTS} tests are affected" in project.run("--instrument-affected", *words)


def test_other_options_of_pytest(project):
    """An option may change results; options that choose tests, or show them, do not."""
    output = project.run("-v", "--instrument-affected", "--import-mode=importlib")
    assert "instrument: all tests run: the option 'importmode' of pytest is 'importlib', and was 'prepend'" in output
    output = project.run("-vv", "--instrument-affected", "-k", "price", "--tb=short", "-x")
    assert "instrument: 0 of" in output


def test_a_base(project):
    """A commit adds the changes since then. A mistake ends the run."""
    with project.edited(EDIT):
        project.git("commit", "-q", "-a", "-m", "two")
    try:
        output = project.run("-v", "--instrument-affected=first")
        assert "instrument: 0 of" in output
        output = project.run("-v", "--instrument-affected=HEAD")
        assert passed_tests(output) == {DEAR}
        assert "git knows no commit 'nowhere'" in project.run("--instrument-affected=nowhere", status=4)
    finally:
        project.git("reset", "-q", "--hard", "first")


def test_the_data_of_other_tests_stay(tmp_path):
    """With --instrument, the counts of affected tests are added. If all tests run, the counts are replaced."""
    project = Repository(tmp_path, WITHOUT_FAILURES)
    counted = ("-v", "--instrument-affected", "--instrument", "--instrument-report=none")
    assert "instrument: all tests run: no data in" in project.run(*counted)
    assert affected_tests(project.affected()) == set()
    with project.edited(EDIT):
        output = project.run(*counted, "--instrument-fail-under=1", status=1)
        assert passed_tests(output) == {DEAR}
        assert "FAIL: --instrument-fail-under 1 cannot be checked: the missing lines of 1 file are not known" in output
        assert "by the key omit in [tool.instrument] of pyproject.toml" in output
        assert "To check the bound, run all tests: leave out --instrument-affected" in output
        assert affected_tests(project.affected()) == {DEAR}  # its earlier run had other code
        with project.edited(("shop/price.py", "item > 100", "item > 101")):
            assert affected_tests(project.affected()) == {DEAR, CHEAP}
        with project.edited(("shop/price.py", "{1: 2}", "{1: 3}")):
            assert affected_tests(project.affected()) == {DEAR, TABLE, TABLE_AGAIN}
        with project.edited(("README.md", "shop", "store")):
            output = project.run(*counted, "--instrument-fail-under=100", status=1)
            assert len(passed_tests(output)) == N_TESTS
            assert re.search("^FAIL: .* points below --instrument-fail-under 100$", output, re.MULTILINE)
            assert "leave out --instrument-affected" not in output
            assert affected_tests(project.affected()) == set()
    assert len(list((project.folder / ".instrument").glob("*.tests"))) == 1
