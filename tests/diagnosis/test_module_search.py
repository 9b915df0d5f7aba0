"""Tests of instrument/diagnosis/module_search.py: modules are found without importing their packages."""

import sys

import pytest

from instrument.diagnosis.module_search import find_module, name_of_file


@pytest.fixture
def search_path(tmp_path):
    """A search path with one folder, which has a package that cannot be imported."""
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    (tmp_path / "package" / "module.py").touch()
    return [str(tmp_path)]


def test_a_module_is_found_by_its_name(search_path):
    """Its package is not executed."""
    assert find_module("package.module", search_path).origin == f"{search_path[0]}/package/module.py"
    assert find_module("package", search_path).origin == f"{search_path[0]}/package/__init__.py"
    assert "package" not in sys.modules


@pytest.mark.parametrize("name", ["nothing", "package.nothing", "package.module.nothing", "not a name"])
def test_a_missing_module_is_none(search_path, name):
    """That holds for a missing module in a package, and for a text that is no name."""
    assert find_module(name, search_path) is None


def test_a_module_of_the_interpreter_has_no_file(search_path):
    """It is found although it is in no folder."""
    assert find_module("sys", search_path).origin == "built-in"


def test_a_file_has_the_shortest_of_its_names(search_path):
    """Each entry of the search path that contains it gives it a name."""
    [folder] = search_path
    path = f"{folder}/package/module.py"

    assert name_of_file(path, [folder]) == "package.module"
    assert name_of_file(path, [folder, f"{folder}/package"]) == "module"
    assert name_of_file(f"{folder}/package/__init__.py", [folder]) == "package"
    assert name_of_file(path, ["/elsewhere"]) is None
