"""Unlinked code for tests: source or code objects come in, plain values go out."""

import types

from instrument.flow import placement
from instrument.link.unlinked_values import nested_code, take_apart
from instrument.rewrite import rewriter


def unlinked_tree(tree, placed=placement.MINIMAL):
    """Return the unlinked code of *tree*, code objects in the order of `nested_code`, for the placement *placed*."""
    rewritten = []
    for code in tree:
        graph = placement.graph_of(code, placed)
        rewritten.append((code, rewriter.rewrite(graph, placement.plan(graph, placed))))
    return take_apart(rewritten)


def tree_of(source, file):
    """Return the code objects of *source*, innermost first."""
    return nested_code(compile(source, file, "exec"))


def as_tuples(unlinked):
    """Return *unlinked*, the result of `take_apart`, as tuples that can be compared; None if it is None."""
    return unlinked and ([values.as_tuple() for values in unlinked[0]], unlinked[1])


def nested_in(code):
    """Return the code objects among the constants of *code*."""
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
