"""The files that an import of a file may run."""

import pytest

from instrument.analysis.affected.imports import ImportGraph

FILES = {
    "/p/src/shop/__init__.py": "",
    "/p/src/shop/db/__init__.py": "from . import query",
    "/p/src/shop/db/query.py": "",
    "/p/src/shop/price.py": "from .db.query import run",
    "/p/src/shop/other.py": "import os, json",
    "/p/src/tool.py": "",
    "/p/tests/test_price.py": "",
}
PACKAGE = "/p/src/shop/__init__.py"


def reached(source, files=FILES):
    """Return the last parts of the files that a test module with this *source* may import, without itself."""
    texts = {**files, "/p/tests/test_price.py": source}
    graph = ImportGraph(texts, lambda file: [texts[file].encode()])
    names = graph.reached("/p/tests/test_price.py") - {"/p/tests/test_price.py"}
    return {name.removeprefix("/p/src/") for name in names}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import tool", {"tool.py"}),
        ("def f():\n    import tool", {"tool.py"}),
        ("import shop.other", {"shop/__init__.py", "shop/other.py"}),
        ("from shop import other", {"shop/__init__.py", "shop/other.py"}),
        ("from shop import price", {"shop/__init__.py", "shop/price.py", "shop/db/__init__.py", "shop/db/query.py"}),
        ("import json, os.path", set()),
        ("patch('shop.other.name')", {"shop/__init__.py", "shop/other.py"}),
        ("START = 'shop.other:main'", {"shop/__init__.py", "shop/other.py"}),
        ("importlib.import_module('tool')", {"tool.py"}),
        ("word = 'tool'", set()),
    ],
)
def test_names_in_the_source(source, found):
    """Import statements count anywhere, texts with dots too, and a module runs the packages around it."""
    assert reached(source) == found


@pytest.mark.parametrize("source", ["import_module(name)", "__import__(name)", "runpy.run_path(path)", "x = ("])
def test_a_computed_name_may_be_any_file(source):
    """So may the imports of a source that cannot be parsed."""
    assert reached(source) == {name.removeprefix("/p/src/") for name in FILES} - {"/p/tests/test_price.py"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from . import query", {"db/query.py", "db/__init__.py", "__init__.py"}),
        ("from ..price import x", {"price.py", "db/query.py", "db/__init__.py", "__init__.py"}),
        ("from .. import other", {"other.py", "db/__init__.py", "__init__.py", "db/query.py"}),
        ("import_module('..other', __package__)", {"other.py", "db/__init__.py", "__init__.py", "db/query.py"}),
    ],
)
def test_relative_names(source, found):
    """Relative names start from the folder of the file."""
    texts = {**FILES, "/p/src/shop/db/new.py": source}
    graph = ImportGraph(texts, lambda file: [texts[file].encode()])
    names = graph.reached("/p/src/shop/db/new.py") - {"/p/src/shop/db/new.py"}
    assert {name.removeprefix("/p/src/shop/") for name in names} == found


def test_all_versions_of_a_file_count():
    """The file before a change may import another file than after it."""
    texts = {"/p/a.py": [b"import b", b"import c"], "/p/b.py": [b""], "/p/c.py": [b""]}
    assert ImportGraph(texts, texts.get).reached("/p/a.py") == set(texts)
