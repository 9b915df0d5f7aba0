"""Code that was taken apart, stored and linked behaves like the original, and its counts are recovered."""

import marshal

import pytest
from link.linked_code import nested_in, tree_of, unlinked_tree

from instrument.flow import placement
from instrument.link.code_group import CodeGroup, group_of, index_of_group
from instrument.link.counters import FULL, make_counters, read_counters
from instrument.link.exit_records import ExitRecords, exit_counts
from instrument.link.linker import appended_constants, link
from instrument.link.unlinked_values import RefusedCode, UnlinkedValues, take_apart
from instrument.rewrite import rewriter
from instrument.session.originals import original_of
from instrument.session.session import Session

FILE = "/somewhere/linked.py"
SOURCE = """
def outer(n):
    def inner(m):
        try:
            return 10 // m
        except ZeroDivisionError:
            return 0
    return [inner(m) for m in range(n)]
def unused():
    return lambda: 1
"""


class Linked:
    """The code of SOURCE, linked after it was marshalled and unmarshalled, as the cache does."""

    def __init__(self, number=7):
        self.tree = tree_of(SOURCE, FILE)
        unlinked_codes, packed = unlinked_tree(self.tree)
        stored = marshal.loads(marshal.dumps([values.as_tuple() for values in unlinked_codes]))
        unlinked_codes = [UnlinkedValues(*values) for values in stored]
        self.group = CodeGroup(number, FILE, index_of_group(unlinked_codes, FILE), packed)
        self.counters = make_counters(self.group.starts[-1])
        self.records = ExitRecords("a session")
        self.codes = link(unlinked_codes, self.group, self.counters, None, lambda *call: call[1], self.records)

    def counts(self):
        """Return the counts of lines."""
        lines = {}
        exits = {}
        for key, count in exit_counts(self.records).items():
            exits.setdefault(self.group.code_at(key), []).append((key, count))
        lengths = read_counters(self.counters)
        packed = self.group.packed()
        for index in range(len(self.group)):
            fired = [FULL - n for n in lengths[self.group.starts[index] : self.group.starts[index + 1]]]
            counted = packed.recover(index, packed.fast_path_info(index), fired, exits.get(index, ()), {})
            for line, count in counted.lines.items():
                lines[line] = lines.get(line, 0) + count
        return lines


def test_linked_code_runs_and_counts():
    """Nested functions, exits by exceptions and lines that never ran are counted."""
    linked = Linked()
    names = {}
    exec(linked.codes[-1], names)

    assert names["outer"](5) == [0, 10, 5, 3, 2]
    counts = linked.counts()
    looped = counts.pop(8)  # a comprehension: versions differ
    assert counts == {2: 1, 3: 1, 4: 5, 5: 5, 6: 1, 7: 1, 9: 1}
    assert looped > 0


def test_each_code_object_has_keys_of_its_own():
    """A key tells its group and its code object, and the constants of live code tell its first key."""
    linked = Linked()
    keys = []
    for index, code in enumerate(linked.codes):
        records, base = appended_constants(code)
        assert records is linked.records
        assert group_of(base) == linked.group.number
        assert linked.group.code_at(base) == index
        assert linked.group.is_as_linked(code, base)
        assert not linked.group.is_as_linked(code.replace(co_filename="other.py"), base)
        assert not linked.group.is_as_linked(code.replace(co_firstlineno=99), base)
        keys.append(base)
    assert len(set(keys)) == len(keys)
    assert appended_constants(linked.tree[-1]) is None
    hash(linked.codes[-1])


@pytest.mark.parametrize("placed", [*placement.PLACEMENTS, placement.EVENTS, placement.CALLS, placement.NOTHING])
def test_the_original_of_live_code_is_found(placed):
    """It is, with every placement, for nested code, and for code that was derived from live code by `replace`."""
    session = Session(placed)
    code = tree_of(SOURCE, FILE)[-1]
    live = session.instrument_exec_code(code, FILE)

    assert original_of(live) is code
    assert original_of(code) is code
    assert [original_of(one) for one in nested_in(live)] == nested_in(code)
    assert original_of(live.replace(co_filename="other.py")) == code.replace(co_filename="other.py")
    assert session.instrument_exec_code(live, FILE) is live
    other = session.instrument_exec_code(live.replace(co_filename="other.py"), FILE)
    assert other.co_filename == "other.py"
    assert appended_constants(other)[1] != appended_constants(live)[1]


def test_refused_code_is_linked_as_it_is():
    """The code objects before and behind it count."""
    tree = tree_of(SOURCE, FILE)
    rewritten = []
    for code in tree:
        graph = placement.graph_of(code, placement.LINE)
        rewritten.append((code, rewriter.rewrite(graph, placement.plan(graph, placement.LINE))))
    rewritten[0] = (tree[0], "no reason")
    unlinked_codes, packed = take_apart(rewritten)
    assert [isinstance(each, RefusedCode) for each in unlinked_codes] == [True] + [False] * (len(tree) - 1)
    group = CodeGroup(1, FILE, index_of_group(unlinked_codes, FILE), packed)
    codes = link(unlinked_codes, group, make_counters(group.starts[-1]), None, None, ExitRecords("a session"))

    assert codes[0] is tree[0]
    assert all(appended_constants(code) for code in codes[1:])
    names = {}
    exec(codes[-1], names)
    assert names["outer"](2) == [0, 10]
    assert group.packed().was_refused(0)
    assert not group.packed().was_refused(1)
    assert group.recovery_info(1).name == tree[1].co_qualname
