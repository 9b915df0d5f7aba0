"""The module that pytest loads: it adds options, and does nothing else in a run that is not counted."""

import re

from pytest_runs import Project

TEST_SILENT = """\
import os
import sys
def test_nothing_is_imported():
    assert "instrument_pytest" in sys.modules
    assert [name for name in sys.modules if name.partition(".")[0] == "instrument"] == []
    assert [name for name in os.environ if name.startswith(("INSTRUMENT_D", "_INSTRUMENT"))] == []
"""


def test_a_run_that_is_not_counted_imports_nothing_of_the_package(tmp_path):
    """It prints the same as without the plugin, writes nothing, and `-p no:instrument` leaves the options out."""
    project = Project(tmp_path, {"test_it.py": TEST_SILENT})
    printed = project.run("-q", "-n", "0")
    project.run("--instrument", "-p", "no:instrument", status=4)

    assert "instrument" not in printed
    assert sorted(path.name for path in project.folder.iterdir() if path.name != "__pycache__") == ["test_it.py"]


def test_a_project_may_have_a_package_of_the_same_name(tmp_path):
    """Its tests get that package. Only a run that is to be counted needs another name."""
    files = {
        "src/instrument/__init__.py": "OWN = 1\n",
        "test_it.py": "import instrument\ndef test_it():\n    assert instrument.OWN\n",
        "pytest.ini": "[pytest]\npythonpath = src\n",
    }
    project = Project(tmp_path, files)
    project.run("-q")
    printed = project.run("--instrument", status=4)

    assert re.search(r"^ERROR: --instrument: '.*/src/instrument/__init__.py' has the name of the package", printed, re.M)


TEST_LOADERS = """\
import sys
import instrument
import instrument.report.text
def test_no_module_is_rewritten():
    modules = {name: vars(sys.modules[name]) for name in sys.modules if name.partition(".")[0] == "instrument"}
    assert "instrument.report.text" in modules
    assert [name for name, names in modules.items() if "@pytest_ar" in names] == []
    ours = instrument.guest.own_builtins.ours
    assert [name for name, names in modules.items() if names["__builtins__"] is not ours] == []
def test_a_count():
    with instrument.counting(__file__) as results:
        counted()
    assert counted.__code__.co_firstlineno + 1 in {line for _, line in results.counts}
def counted():
    pass
"""


def test_pytest_rewrites_no_module_of_the_package_and_warns_of_none(tmp_path):
    """It marks all modules of a distribution with a plugin, also modules that were imported before."""
    project = Project(tmp_path, {"test_it.py": TEST_LOADERS})
    strict = ("-W", "error::pytest.PytestAssertRewriteWarning", "-q")

    for variables, options in [({}, ()), ({"INSTRUMENT": "1"}, ()), ({"INSTRUMENT": "1"}, ("-OO",))]:
        assert "2 passed" in project.run(*strict, options=options, **variables)
    assert "2 passed" in project.run(*strict, "--instrument", "--instrument-report=none")


def test_an_invalid_value_is_a_usage_error_before_tests_are_collected(tmp_path):
    """Options, ini options and settings are checked, and data of earlier runs stay."""
    project = Project(tmp_path, {"test_it.py": "raise SystemExit\n", ".instrument/kept": ""})
    ini = ("-o", "instrument_append=perhaps")
    for arguments, message in [
        (["--instrument-report=pdf"], "ERROR: --instrument-report=pdf: there is no report 'pdf'"),
        (["--instrument=*.py"], "ERROR: --instrument: '*.py' is a pattern, and a scope takes no patterns"),
        (ini, "ERROR: ini option instrument_append: "),
    ]:
        assert message in project.run("--instrument", *arguments, status=4)
    assert (project.folder / ".instrument" / "kept").exists()
