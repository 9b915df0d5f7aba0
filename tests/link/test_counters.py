"""Code that was taken apart, stored and linked runs as it did, and says what its counters and exits mean."""

import marshal
import types

import pytest

from instrument.flow import placement
from instrument.link import counters
from instrument.link.counters import (
    FULL,
    CodeGroup,
    ExitRecords,
    appended_constants,
    exit_counts,
    group_of,
    index_of_group,
    is_refused,
    link,
    make_counters,
    read_counters,
    unlinked_values,
)
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


def nested_code(source=SOURCE):
    """Return the code objects of *source*, innermost first."""
    found = [compile(source, FILE, "exec")]
    for code in found:
        found.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return found[::-1]


def taken_apart(tree, where=placement.MINIMAL):
    """Return *tree*, rewritten and taken apart."""
    made = []
    for code in tree:
        flow = placement.graph_of(code, where)
        made.append((code, rewriter.rewrite(flow, placement.plan(flow, where))))
    return unlinked_values(made)


class Linked:
    """The code of SOURCE, linked by way of bytes as the cache keeps them."""

    def __init__(self, number=7):
        self.tree = nested_code()
        flats, packed = marshal.loads(marshal.dumps(taken_apart(self.tree)))
        self.group = CodeGroup(number, FILE, index_of_group(flats, FILE), packed)
        self.counters = make_counters(self.group.starts[-1])
        self.records = ExitRecords("a session")
        self.codes = link(flats, self.group, self.counters, None, lambda *what: what[1], self.records)

    def counts(self):
        """Return what was counted, by line."""
        lines = {}
        exits = {}
        for key, count in exit_counts(self.records).items():
            exits.setdefault(self.group.code_at(key), []).append((key, count))
        left = read_counters(self.counters)
        packed = self.group.packed()
        for index in range(len(self.group)):
            fired = [FULL - n for n in left[self.group.starts[index] : self.group.starts[index + 1]]]
            counted = packed.recover(index, packed.fast_path_info(index), fired, exits.get(index, ()), {})
            for line, count in counted.lines.items():
                lines[line] = lines.get(line, 0) + count
        return lines


def test_linked_code_runs_and_counts():
    """Nested functions, exits by exceptions and what never ran: all of it is as it should be."""
    linked = Linked()
    names = {}
    exec(linked.codes[-1], names)

    assert names["outer"](5) == [0, 10, 5, 3, 2]
    counts = linked.counts()
    looped = counts.pop(8)  # a comprehension: versions differ
    assert counts == {2: 1, 3: 1, 4: 5, 5: 5, 6: 1, 7: 1, 9: 1}
    assert looped > 0


def test_each_code_object_has_keys_of_its_own():
    """From any key the group, the code and the record can be told, and live code says which its keys are."""
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


@pytest.mark.parametrize("where", [*placement.PLACEMENTS, placement.EVENTS, placement.CALLS, placement.NOTHING])
def test_the_original_of_live_code_is_given_back(where):
    """In every placement, for nested code too; code that was derived from live code gives its own original."""
    session = Session(where)
    code = nested_code()[-1]
    live = session.instrument_exec_code(code, FILE)

    assert original_of(live) is code
    assert original_of(code) is code
    nested = [constant for constant in live.co_consts if isinstance(constant, types.CodeType)]
    assert [original_of(one) for one in nested] == [one for one in code.co_consts if isinstance(one, types.CodeType)]
    assert original_of(live.replace(co_filename="other.py")) == code.replace(co_filename="other.py")
    assert session.instrument_exec_code(live, FILE) is live
    other = session.instrument_exec_code(live.replace(co_filename="other.py"), FILE)
    assert other.co_filename == "other.py"
    assert appended_constants(other)[1] != appended_constants(live)[1]


def test_code_that_was_refused_stays_as_it_is():
    """It is linked as it was, between others that count."""
    tree = nested_code()
    made = []
    for code in tree:
        flow = placement.graph_of(code, placement.LINE)
        made.append((code, rewriter.rewrite(flow, placement.plan(flow, placement.LINE))))
    made[0] = (tree[0], "no reason")
    flats, packed = unlinked_values(made)
    assert [is_refused(flat) for flat in flats] == [True] + [False] * (len(tree) - 1)
    group = CodeGroup(1, FILE, index_of_group(flats, FILE), packed)
    codes = link(flats, group, make_counters(group.starts[-1]), None, None, ExitRecords("a session"))

    assert codes[0] is tree[0]
    assert all(appended_constants(code) for code in codes[1:])
    names = {}
    exec(codes[-1], names)
    assert names["outer"](2) == [0, 10]
    assert group.packed().was_refused(0)
    assert not group.packed().was_refused(1)
    assert group.recovery_info(1).name == tree[1].co_qualname


@pytest.mark.parametrize("n", [0, 1, 10, 100, 5_000])
def test_what_reading_needs_is_the_same_after_it_was_squeezed(n):
    """Short or long, and the long shorter."""
    marshalled = marshal.dumps([marshal.dumps(("file.py", f"function_{number}", [])) for number in range(n)])
    squeezed = counters._compressed(marshalled)
    assert counters._decompressed(squeezed) == marshalled
    assert len(squeezed) <= len(marshalled)
    assert n < 100 or len(squeezed) < len(marshalled) / 2


def test_late_exits_are_counted_in_pieces():
    """However many there are, each is counted once, and many are known to be many."""
    records = ExitRecords(None)
    are_many = records.are_many_late()
    records.late.extend([-1, -2] * 4999)
    assert not are_many()
    records.late.extend([-3] * 10)
    assert are_many()

    assert exit_counts(records) == {-1: 4999, -2: 4999, -3: 10}
    assert not are_many()
    assert records.late == []
