"""Counts the outcomes of decisions by the syntax tree: calls that count are put around each tested expression.

The text of a program comes in; a tree with such calls goes out (`with_counting_calls`). When the tree was executed, a
Counting has the outcomes. Nothing here knows bytecode. Decisions have the places of flow.derived.decisions.
"""

import ast
import collections
import sys
import types
import warnings

import strategies
from flow.stepping import ProbeCounter

from instrument.model.flow_counts import DecisionKind

#: From 3.13 on one instruction loads two locals, and has the place of the first. So the place of the second is lost.
LOADS_TWO_LOCALS = sys.version_info >= (3, 13)


class Counting:
    """The outcomes of decisions: for each (place, kind) how often it came out true, and how often false."""

    def __init__(self):
        self.outcomes = collections.defaultdict(lambda: [0, 0])

    def names(self):
        """Return the functions that the calls in the tree name."""
        return {"__test__": self.test, "__turns__": self.turns, "__kinds__": self.kinds, "__fits__": self.fits}

    def count(self, place, kind, came_true):
        self.outcomes[place, kind][not came_true] += 1

    def test(self, place, value):
        self.count(place, DecisionKind.TEST, bool(value))
        return value

    def turns(self, place, iterable):
        return Turns(self, place, iter(iterable))

    def kinds(self, place, kinds):
        self.count(place, DecisionKind.EXCEPT, issubclass(type(sys.exception()), kinds))
        return kinds

    def fits(self, place):
        self.count(place, DecisionKind.CASE, True)
        return True


class Turns:
    """Passes on the elements of *iterator*, and counts them, and its end."""

    def __init__(self, counting, place, iterator):
        self.counting, self.place, self.iterator = counting, place, iterator

    def __iter__(self):
        return self

    def __next__(self):
        try:
            element = next(self.iterator)
        except StopIteration:
            self.counting.count(self.place, DecisionKind.LOOP, False)
            raise
        self.counting.count(self.place, DecisionKind.LOOP, True)
        return element


def place_of(node):
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def is_constant(node):
    """Return whether the compiler may compute *node*, which has neither names nor calls."""
    return not any(isinstance(each, (ast.Name, ast.Call)) for each in ast.walk(node))


class Wrapper(ast.NodeTransformer):
    """Puts calls around the expressions whose place is certain: names, calls, attributes, subscripts and comparisons."""

    WRAPPED = ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Compare, ast.BinOp, ast.Await

    def __init__(self):
        #: By the place of a name that may be loaded together with another one: the places of each `and` or `or` around it.
        self.wholes = collections.defaultdict(list)

    def call(self, function, node, *more):
        arguments = [ast.Constant(place_of(node)), *more]
        return ast.copy_location(ast.Call(ast.Name(function, ast.Load()), arguments, []), node)

    def tested(self, node):
        """Return *node*, whose truth is tested, with calls around the parts that are tested by themselves."""
        if isinstance(node, ast.BoolOp):
            node.values = [self.tested(value) for value in node.values]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            # Some versions test `a not in b` for `not a in b`.
            is_certain = not isinstance(node.operand, ast.Compare)
            node.operand = self.tested(node.operand) if is_certain else self.visit(node.operand)
        elif isinstance(node, ast.IfExp):
            node.test, node.body, node.orelse = map(self.tested, (node.test, node.body, node.orelse))
        else:
            is_certain = isinstance(node, self.WRAPPED) and not is_constant(node)
            if isinstance(node, ast.Compare):
                is_none = isinstance(node.ops[0], (ast.Is, ast.IsNot))
                is_certain = len(node.ops) == 1 and not is_none
            node = self.visit(node)
            if is_certain:
                node = self.call("__test__", node, node)
        return node

    def visit_BoolOp(self, node):
        *operands, last = node.values
        first = operands[0]
        while isinstance(first, ast.BoolOp):
            first = first.values[0]
        if isinstance(first, ast.Name) and LOADS_TWO_LOCALS:
            self.wholes[place_of(first)].append(place_of(node))
        is_simple = [isinstance(operand, self.WRAPPED) for operand in operands]
        tested = [self.tested(each) if simple else self.visit(each) for each, simple in zip(operands, is_simple)]
        node.values = [*tested, self.visit(last)]
        return node

    def visit_If(self, node):
        node.test = self.tested(node.test)
        node.body = [self.visit(each) for each in node.body]
        node.orelse = [self.visit(each) for each in node.orelse]
        return node

    visit_While = visit_If  # noqa: N815 - the name that NodeVisitor looks up

    def visit_Assert(self, node):
        node.test = self.tested(node.test)
        return node

    def visit_IfExp(self, node):
        node.test = self.tested(node.test)
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        return node

    def visit_comprehension(self, node):
        node.iter = self.visit(node.iter)
        node.ifs = [self.tested(each) for each in node.ifs]
        return node

    def visit_For(self, node):
        is_certain = isinstance(node.iter, self.WRAPPED)
        self.generic_visit(node)
        if is_certain:
            node.iter = self.call("__turns__", node.iter, node.iter)
        return node

    def visit_Try(self, node):
        for handler in node.handlers:
            if handler.type is not None:
                handler.type = self.call("__kinds__", handler.type, self.visit(handler.type))
            handler.body = [self.visit(each) for each in handler.body]
        for field in ("body", "orelse", "finalbody"):
            setattr(node, field, [self.visit(each) for each in getattr(node, field)])
        return node

    def visit_match_case(self, node):
        fits = self.call("__fits__", without_name(node.pattern))
        if node.guard is not None:
            node.guard = self.tested(node.guard)
            node.guard = ast.copy_location(ast.BoolOp(ast.And(), [fits, node.guard]), node.guard)
        else:
            node.guard = fits
        node.body = [self.visit(each) for each in node.body]
        return node


def without_name(pattern):
    """Return *pattern*, or the pattern that it gives a name to."""
    return without_name(pattern.pattern) if isinstance(pattern, ast.MatchAs) and pattern.pattern else pattern


def is_irrefutable(pattern):
    """Return whether *pattern* always fits."""
    if isinstance(pattern, ast.MatchOr):
        return any(map(is_irrefutable, pattern.patterns))
    return isinstance(pattern, ast.MatchAs) and (pattern.pattern is None or is_irrefutable(pattern.pattern))


def with_counting_calls(source):
    """Return the tree of *source* with counting calls, the places of patterns that do not always fit, and `Wrapper.wholes`."""
    tree = ast.parse(source)
    patterns = [case.pattern for case in ast.walk(tree) if isinstance(case, ast.match_case)]
    places = {place_of(without_name(pattern)) for pattern in patterns if not is_irrefutable(pattern)}
    wrapper = Wrapper()
    return ast.fix_missing_locations(wrapper.visit(tree)), places, wrapper.wholes


def outcome_differences(program):
    """Return a text for each decision of a Program that has other outcomes by probes than by calls in its tree."""
    prober, counting = ProbeCounter(), Counting()
    with_probes = strategies.run(program, lambda **_: prober)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree, patterns, wholes = with_counting_calls(program.source)
        code = compile(tree, strategies.FILE_NAME, "exec", dont_inherit=True)
    outcomes_of_run = {}

    def run_tree(_code, names, _local_names):
        try:
            exec(code, names | counting.names())
        finally:  # generators that are still open are closed later
            outcomes_of_run.update({key: list(numbers) for key, numbers in counting.outcomes.items()})

    runner = types.SimpleNamespace(results=prober.results, runctx=run_tree)
    with_calls = strategies.run(program, lambda **_: runner)
    if (with_calls.log, with_calls.n_decisions) != (with_probes.log, with_probes.n_decisions):
        return []  # the calls have made another program of it
    by_place = collections.defaultdict(list)
    for decision, outcomes in prober.flow_counts().decisions.items():
        by_place[decision[:4], decision.kind].append(list(outcomes))
    texts = []
    for (place, kind), expected in outcomes_of_run.items():
        found = next((by_place[each, kind] for each in (place, *wholes[place]) if by_place[each, kind]), [])
        if kind == DecisionKind.CASE:
            if place not in patterns:
                continue
            found, expected = [true for true, _ in found], expected[0]
        if found != [expected]:
            texts.append(f"outcomes: {kind} at {place}: {expected} by calls, {found} by probes")
    return texts
