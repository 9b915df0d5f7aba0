"""Helpers for tests of exports: source files with any counts, and readers of the formats."""

import functools
import tempfile
from pathlib import Path

from hypothesis import strategies as st

from instrument.analysis.file_analysis import FileAnalysis
from instrument.analysis.source_file import version_of
from instrument.model.flow_counts import Arc, Decision, DecisionKind, FlowCounts, FunctionFlow
from instrument.model.measurement import FileCounts

SOURCE = """\
def price(items):
    total = 0
    for item in items:
        if item > 100:
            total += item * 0.9
        else:
            total += item
    return total


def refund(item): return -item


class Shop:
    @property
    def name(self):
        return self._name

    @name.setter
    def name(self, name):
        if name:
            self._name = name


sorted([3, 1], key=lambda item: -item if item else 0)
"""

#: Each line that can run.
LINES = [1, 2, 3, 4, 5, 7, 8, 11, 14, 15, 16, 17, 19, 20, 21, 22, 25]
PRICE, SETTER, LAMBDA, MODULE = ("price", 1), ("Shop.name", 19), ("<lambda>", 25), ("<module>", 1)
#: The functions that have a `def`, by the names that they have in exports.
FUNCTIONS = {PRICE: "price", ("refund", 11): "refund", ("Shop.name", 15): "Shop.name", SETTER: "Shop.name@19"}
#: The lines of the body of each.
BODIES = {"price": [2, 3, 4, 5, 7, 8], "refund": [], "Shop.name": [17], "Shop.name@19": [21, 22]}
#: The ways on from lines that have several.
WAYS = [
    *(Arc(PRICE, 3, 4), Arc(PRICE, 3, 8), Arc(PRICE, 4, 5), Arc(PRICE, 4, 7)),
    *(Arc(SETTER, 21, 0), Arc(SETTER, 21, 22)),
]
#: Some of the other arcs.
OTHER_ARCS = [
    *(Arc(PRICE, 2, 3), Arc(PRICE, 5, 3), Arc(PRICE, 7, 3), Arc(PRICE, 8, 0)),
    *(Arc(SETTER, 22, 0), Arc(("Shop.name", 15), 17, 0), Arc(LAMBDA, 25, 0), Arc(MODULE, 1, 11), Arc(MODULE, 25, 0)),
]

#: Counts. Some do not fit into 32 bits, or into a double; one is the greatest.
GREAT = (2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1)
COUNTS = st.integers(0, 3) | st.sampled_from(GREAT)

#: Texts with characters that end a line, a record, a field, an attribute or an element, or that no encoding has.
HOSTILE = (
    "a\nend_of_record\nSF:/etc/passwd\nDA:1,1",
    "\r\n\x0b\x0c\x1c\x85\u2028\u2029",
    "]]></source><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;&#0;",
    "--><script>alert(1)</script><!--",
    '"\' onload="alert(1)',
    "\x00\x01\x1b[31m\x7f\ufffe\uffff\udc80\ud800",
    "(1) fn=(2) x\nfl=(1) /etc/passwd\n1 1",
    "a,b,,c:d;e|f%s\\n\t",
    "../../../../etc/passwd",
    "\u202ereversed\u2066",
)
TEXTS = st.sampled_from(HOSTILE) | st.text(st.characters(codec=None) | st.characters(categories=["Cs"]), max_size=9)


def counts_of(lines, functions=()):
    """Return the FileCounts with these counts of *lines* and *functions*; lines with 0 did not run."""
    counts = FileCounts()
    for series, numbers in ((counts.lines, lines), (counts.functions, functions)):
        for key, count in dict(numbers).items():
            if count:
                series.add(key, count, 100.0, 200.0)
    return counts


def analysed(path, lines, functions=(), flow=None, *, source=SOURCE):
    """Write *source* to *path*; return the FileAnalysis of these counts of it."""
    data = source.encode()
    Path(path).write_bytes(data)
    return FileAnalysis(str(path), version_of(data), counts_of(lines, functions), measured_at=[str(path)], flow=flow)


@st.composite
def _numbers(draw):
    """Make an iterator over any counts: one draw, since a draw for each count takes long."""
    choice = (0, 0, 0, 1, 2, 3, 1000, *GREAT)
    return iter([choice[byte % len(choice)] for byte in draw(st.binary(min_size=160, max_size=160))])


@st.composite
def flows(draw):
    """Make FlowCounts of SOURCE with any counts."""
    number, flow = draw(_numbers()), FlowCounts()
    flow.arcs = {arc: next(number) for arc in (*WAYS, *OTHER_ARCS)}
    flow.executions = {line: next(number) for line in LINES}
    flow.instructions = {line: next(number) for line in LINES}
    flow.functions = {key: FunctionFlow(*(next(number) for _ in FunctionFlow._fields)) for key in FUNCTIONS}
    flow.add_decision(Decision(4, 11, 4, 21, DecisionKind.TEST, 0), next(number), next(number))
    return flow


@functools.cache
def _folder():
    """Return the folder of the sources that Hypothesis makes; the folder is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="instrument-exports-")


@st.composite
def files(draw, *, with_flow=None):
    """Make the FileAnalysis of a file with SOURCE and any counts; *with_flow* says whether it has a flow."""
    folder = Path(_folder().name)
    number = draw(_numbers())
    lines = {line: next(number) for line in LINES}
    functions = {key: next(number) for key in FUNCTIONS}
    has_flow = draw(st.booleans()) if with_flow is None else with_flow
    return analysed(folder / "shop.py", lines, functions, draw(flows()) if has_flow else None)


def ways_of(flow):
    """Return the ways on of *flow*: a dict from line to the counts, in the order of the targets."""
    ways = {}
    for arc in WAYS:
        ways.setdefault(arc.line, {})[arc.target] = flow.arcs[arc]
    return {line: [count for _, count in sorted(targets.items())] for line, targets in ways.items()}
