"""The start of a counted run: which process runs pytest, and which modules ran uncounted before."""

import sys
import types

import pytest
from house import PACKAGE

from instrument.pytest_plugin.starting import is_pytest, loaded_files


@pytest.mark.parametrize(
    ("words", "arguments", "runs_pytest"),
    [
        (["python", "-m", "pytest", "-q"], ["/x/pytest/__main__.py", "-q"], True),
        (["python", "-X", "dev", "-mpytest"], ["/x/pytest/__main__.py"], True),
        (["/env/bin/python", "/env/bin/pytest", "-q", "tests"], ["/env/bin/pytest", "-q", "tests"], True),
        (["python", "/env/bin/py.test"], ["/env/bin/py.test"], True),
        (["python", "run_tests.py", "pytest"], ["run_tests.py", "pytest"], False),
        (["python", "-c", "import pytest; pytest.main()", "-q"], ["-c", "-q"], False),
        (["python", "-m", "coverage", "run", "-m", "pytest"], ["/x/pytest/__main__.py"], True),
        (["python"], [""], False),
    ],
)
def test_pytest_is_recognised_by_the_words_that_started_the_process(words, arguments, runs_pytest):
    """A wrapper that runs pytest as the main program is executed anew as a whole."""
    assert is_pytest(words, arguments) == runs_pytest


def test_modules_that_the_scope_selects_are_found(tmp_path, monkeypatch):
    """Neither the main module, nor modules without a source, nor those out of the scope are among them."""

    def module(name, **attributes):
        made = types.ModuleType(name)
        vars(made).update(attributes)
        monkeypatch.setitem(sys.modules, name, made)

    own = str(tmp_path / "shelf.py")
    module("shelf", __file__=own)
    module("shelf_alias", __file__=own)
    module("shelf_in_c", __file__=str(tmp_path / "shelf_in_c.so"))
    module("shelf_without_file")
    module("shelf_installed", __file__=str(tmp_path / "site-packages" / "shelf_installed.py"))
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "main.py"), raising=False)
    monkeypatch.setitem(sys.modules, "shelf_class", type("Shelf", (), {"__file__": str(tmp_path / "class.py")}))

    assert loaded_files(["shelf"]) == [own]
    assert loaded_files([str(tmp_path)]) == [own, str(tmp_path / "site-packages" / "shelf_installed.py")]
    found = loaded_files(["1"])
    assert own in found
    assert __file__ in found
    assert not [file for file in found if file.startswith((f"{PACKAGE}/", str(tmp_path / "site-packages")))]
    assert not {str(tmp_path / "main.py"), str(tmp_path / "class.py")} & set(found)
