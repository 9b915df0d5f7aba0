"""Caches in a folder for tests: source comes in, and whether the cache has its code goes out."""

from link.linked_code import tree_of, unlinked_tree

from instrument.flow import placement
from instrument.link.cache import Batch, Cache

SOURCE = """
def f(items):
    for item in items:
        if item:
            exec("pass", globals={})
    return lambda: items
"""


def tree(source=SOURCE, file="/somewhere/program.py"):
    """Return the code objects of *source*, innermost first."""
    return tree_of(source, file)


def filled(folder, source=SOURCE):
    """Store the code of *source* in a cache in *folder*; return the path of the one file in it that holds code."""
    cache = Batch(Cache(placement.MINIMAL, str(folder)))
    codes = tree(source)
    assert cache.get(codes, "shelf") is None
    cache.put(codes, unlinked_tree(codes), "shelf")
    cache.flush()
    (path_of_code,) = (path for path in folder.rglob("*") if path.is_file() and path.name != "key")
    return path_of_code


def is_stored(folder, source=SOURCE, placed=placement.MINIMAL):
    """Return whether the cache in *folder* has the code of *source* for the placement *placed*."""
    return Batch(Cache(placed, str(folder))).get(tree(source), "shelf") is not None
