"""The import statements of a program lead to the files that it is likely to import, each behind those it needs."""

import os
import sys

import pytest

from instrument.warming.likely_files import LikelyFiles, imported_names, package_of


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import a\nimport b.c, d as e  # f\n", "a b.c d"),
        ("from a import b as c, d\n", "a a.b a.d"),
        ("from a import (\n    b,  # c, d\n    e as f,\n)\nfrom g import (h)", "a a.b a.e g g.h"),
        ("from a import *\n", "a"),
        ("from . import a\nfrom .b import c\nfrom .. import d\nfrom ...e import f", "p.q p.q.a p.q.b p.q.b.c p p.d"),
        ("try:\n    import a\nexcept ImportError:\n    import b; c = 1\n", "a b"),
        ("class A:\n\timport a\n\tdef f(self):\n\t\timport b\n", "a"),
        ("def f():\n    if x:\n\n        # comment\n        import a\nimport b\n", "b"),
        ("async  def f():\n    import a\nif x:\n    import b\n", "b"),
        ("if TYPE_CHECKING:\n    import a\nif typing.TYPE_CHECKING:\n    import b\nelse:\n    import c\n", "c"),
        ("import a\r\nfrom b import c\r\n", "a b b.c"),
        ("important = 1\nfromage = 'import x'\nimport\nfrom x\nfrom import\n(import y)\nimport 1a, @\n", ""),
        ("import größe\n", "größe"),
    ],
)
def test_import_statements_are_found(text, names):
    """Those in functions are left out, and those for type checkers."""
    assert [*imported_names(text, "p.q")] == names.split()


def test_without_a_package_relative_imports_lead_nowhere():
    """The module is no part of a package."""
    assert [*imported_names("from . import a\nfrom .b import c\nimport d", "")] == ["d"]


class Record:
    """Stands in for the record; `ready` has the names of files that need no preparation."""

    def __init__(self, *ready):
        self.ready = ready
        self.imports = {}
        self.n_searched = 0

    def is_ready(self, path):
        """Return whether the file is in `ready`."""
        return os.path.basename(path) in self.ready

    def imports_of(self, path):
        """Return the imports that were noted."""
        return self.imports.get(path)

    def note_imports(self, path, imports):
        """Keep it."""
        self.n_searched += 1
        self.imports[path] = imports


@pytest.fixture
def package(tmp_path):
    """A folder with packages, whose modules import each other."""
    for path, text in {
        "shop/__init__.py": "from .cart import Cart\n",
        "shop/cart.py": "from shop import price\nimport json, library\n",
        "shop/price.py": "import shop.cart, shop.none, nothing\n",
        "shop/unused.py": "",
        "library.py": "import shop.tax\n",
        "shop/tax.py": "",
        "space/inner.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def found(folder, text, record=None, follows_all=False):
    """Return the files, relative to *folder*, that *text* leads to with the scope `shop` and `space`."""
    search_path = [str(folder), os.path.dirname(os.__file__)]
    likely = LikelyFiles(
        search_path, lambda name, path: name.partition(".")[0] in ("shop", "space"), record or Record(), follows_all
    )
    return [os.path.relpath(path, folder) for path in likely.imported_by(text)]


def test_each_file_comes_behind_those_that_it_imports(package):
    """Circles, modules that do not exist, and the standard library do no harm. The scope decides."""
    expected = ["shop/price.py", "shop/cart.py", "shop/__init__.py"]
    assert found(package, "import shop.cart") == expected
    assert found(package, "import space.inner, shop") == ["space/inner.py", *expected]


def test_libraries_are_followed_if_the_scope_may_be_behind_them(package):
    """A library outside of the scope imports a module in the scope."""
    assert "shop/tax.py" not in found(package, "import shop")
    assert sorted(found(package, "import library", follows_all=True)) == [
        *("shop/__init__.py", "shop/cart.py", "shop/price.py", "shop/tax.py")
    ]


def test_files_that_are_ready_are_not_searched_again(package):
    """They are followed all the same: a file behind them may have changed."""
    record = Record("__init__.py", "cart.py")
    assert found(package, "import shop", record) == ["shop/price.py"]
    assert record.n_searched == 3
    assert found(package, "import shop", record) == ["shop/price.py"]
    assert record.n_searched == 3


def test_a_test_leads_to_its_imports_and_is_not_prepared(package):
    """Its package is the one that its relative imports begin with."""
    (package / "shop" / "test_tax.py").write_text("from . import tax\n")
    record = Record()
    likely = LikelyFiles([str(package)], lambda name, path: True, record, False)
    files = likely.imported_by_file(str(package / "shop" / "test_tax.py"), "shop")

    assert sorted(map(os.path.basename, files)) == ["__init__.py", "cart.py", "library.py", "price.py", "tax.py"]
    assert str(package / "shop" / "test_tax.py") in record.imports


def test_the_package_of_a_file_is_known_by_its_folders(package):
    """The folder above the outermost package is the one to search."""
    assert package_of(str(package / "shop" / "cart.py")) == ("shop", str(package))
    assert package_of(str(package / "library.py")) == ("", str(package))


def test_the_standard_library_is_found_as_a_scope(tmp_path):
    """Modules of it are files like others if the scope selects them."""
    likely = LikelyFiles(sys.path, lambda name, path: name.partition(".")[0] == "json", Record(), True)

    assert {os.path.basename(path) for path in likely.imported_by("import json")} >= {"decoder.py", "scanner.py", "encoder.py"}
