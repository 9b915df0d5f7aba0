"""The files that an import of a file may run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


DB = ("shop/db/__init__.py", "shop/db/query.py")
SHOP = {"shop/__init__.py", "shop/other.py", "shop/price.py", *DB}


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
        ("START = 'shop.'", SHOP),
        ("import_module('shop.' + name)", SHOP),
        ("import_module(f'shop.db.{name}')", {"shop/__init__.py", *DB}),
        ("import_module('.other', 'shop')", {"shop/__init__.py", "shop/other.py"}),
        ("from importlib import import_module as load; load('tool')", {"tool.py"}),
        ("load = importlib.import_module; load('tool')", {"tool.py"}),
        ("__import__('shop', fromlist=['other'])", {"shop/__init__.py", "shop/other.py"}),
        ("pkgutil.resolve_name('tool:run')", {"tool.py"}),
        ("patch.multiple('tool', N=2)", {"tool.py"}),
        ("patch.multiple(thing, N=2)", set()),
        ("sys.modules['tool']", {"tool.py"}),
        ("lazy.attach(__name__, ['tool'])", {"tool.py"}),
        ("runpy.run_path('src/tool.py')", {"tool.py"}),
        ("runpy.run_path(HERE / 'tool.py')", {"tool.py"}),
        ("spec_from_file_location('x', HERE / 'tool.py')", {"tool.py"}),
        ("run([python, '-m', 'tool'])", {"tool.py"}),
        ("run([python, '-c', 'import tool; tool.run()'])", {"tool.py"}),
        ("def f():\n    'Text.\\n\\n    >>> from shop import other\\n    '", {"shop/__init__.py", "shop/other.py"}),
        ("exec('x = 1')", set()),
        ("pickle.loads(text)", set()),
        ("json.load(file)", set()),
    ],
)
def test_names_in_the_source(source, found):
    """Import statements count anywhere, texts with dots too, and a module runs the packages around it."""
    assert reached(source) == found


@pytest.mark.parametrize(
    "source",
    [
        *("import_module(name)", "__import__(name)", "runpy.run_path(path)", "x = (", "import_module('to' + name)"),
        *("from importlib import import_module as load; load('to' + 'ol')", "spec_from_file_location('x', path)"),
        *("exec(compile(path.read_text(), path, 'exec'))", "pickle.load(file)"),
    ],
)
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


@pytest.mark.parametrize(("package", "found"), [("__all__ = ['b']", {"/p/a/b.py"}), ("x = 1", set())])
def test_an_import_of_all_names(package, found):
    """`__all__` may name modules of the package."""
    texts = {"/p/a/__init__.py": package, "/p/a/b.py": "", "/p/a/c/d.py": "", "/p/test_a.py": "from a import *"}
    graph = ImportGraph(texts, lambda file: [texts[file].encode()])
    assert graph.imported("/p/test_a.py") == {"/p/a/__init__.py", *found}


def test_a_text_with_doctests():
    """It imports the modules that its lines name; other texts in it are no code."""
    texts = {"/p/a.py": "", "/p/b.py": "", "/p/c.txt": "Some words.\n\n>>> import a\n>>> a.b\n"}
    assert ImportGraph(texts, lambda file: [texts[file].encode()]).reached("/p/c.txt") == {"/p/a.py", "/p/c.txt"}


@given(st.sampled_from(sorted(set(FILES) - {"/p/tests/test_price.py"})))
def test_each_module_is_found_by_its_name(file):
    """An import statement, a text and a call lead to the same file."""
    parts = file.removeprefix("/p/").removesuffix(".py").removesuffix("/__init__").split("/")
    name = ".".join(parts)
    for source in (f"import {name}", f"x = '{name}'", f"import_module('{name}')", f"x = '{'/'.join(parts)}.py'"):
        if not file.endswith("__init__.py") or "/" not in source:
            assert file.removeprefix("/p/src/") in reached(source)
