"""Unlinked code that was taken apart has all that linking needs, and no file name of its own."""

import marshal

from link.linked_code import as_tuples, tree_of, unlinked_tree

from instrument.link.unlinked_values import UnlinkedValues, nested_code

SOURCE = "def f():\n    return lambda: 1\ndef g():\n    return f\n"


def test_nested_code_comes_before_the_code_around_it():
    """The outermost code object is the last one."""
    tree = nested_code(compile(SOURCE, "a.py", "exec"))
    assert [code.co_qualname for code in tree] == ["f.<locals>.<lambda>", "f", "g", "<module>"]


def test_values_do_not_depend_on_the_file():
    """The same text in another file has the same values and infos, so the cache serves both."""
    assert as_tuples(unlinked_tree(tree_of(SOURCE, "a.py"))) == as_tuples(unlinked_tree(tree_of(SOURCE, "b.py")))


def test_values_are_the_same_after_they_were_marshalled():
    """The tuples hold plain values only."""
    for values in unlinked_tree(tree_of(SOURCE, "a.py"))[0]:
        stored = marshal.loads(marshal.dumps(values.as_tuple()))
        assert UnlinkedValues(*stored).as_tuple() == values.as_tuple()


def test_nested_code_is_renumbered_behind_other_code():
    """Only the numbers of nested code change, and the values themselves stay as they are."""
    values = unlinked_tree(tree_of(SOURCE, "a.py"))[0]
    before = [each.as_tuple() for each in values]
    module = values[-1].renumbered(10)
    assert [number for _, number in module.nested] == [number + 10 for _, number in values[-1].nested]
    assert values[0].renumbered(10) is values[0]
    assert [each.as_tuple() for each in values] == before
