"""A code object with its rewritten form, for tests that compare or change the two."""

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CACHES
from instrument.flow.placement import LINE, MINIMAL, graph_of, plan
from instrument.rewrite.rewriter import rewrite
from instrument.rewrite.verifier import RewrittenCode, difference

COUNTING = [MINIMAL, LINE]

#: A generator with each part of a code object that a mistake could change.
SAMPLE = """
def f(x, *, y=2):
    total = 0.5
    for item in x:
        try:
            if item and y:
                total = item.method(total, "text", key=y)
            else:
                total += y
        except ValueError:
            total = helper(total)
        with y:
            yield total
    return total
"""


class Rewritten:
    """A code object and its rewritten form, as instructions.

    - `originals`: the instructions of the code object.
    - `copies`: the instructions of the rewritten code.
    - `units`: the code unit of each original in the rewritten code.
    """

    def __init__(self, code, placement):
        self.graph = graph_of(code, placement)
        self.originals = self.graph.instructions
        self.placement = placement
        self.plan = plan(self.graph, placement)
        self.unlinked = rewrite(self.graph, self.plan)
        self.copies = Instructions(self.unlinked.code)
        self.units = list(self.unlinked.units[: len(self.originals)])

    def difference(self, **changes):
        """Return the difference that the verifier reports after *changes* of the rewritten code."""
        return difference(self.with_code(self.unlinked.code.replace(**changes)))

    def with_code(self, code):
        """Return the RewrittenCode of *code*, in which the originals stand at the same units."""
        return RewrittenCode(self.originals, code, self.unlinked.units)

    def with_unit(self, unit, op=None, arg=None):
        """Return the bytes of the rewritten code with another opcode or argument at one code unit."""
        raw = bytearray(self.unlinked.code.co_code)
        raw[2 * unit] = raw[2 * unit] if op is None else op
        raw[2 * unit + 1] = raw[2 * unit + 1] if arg is None else arg
        return bytes(raw)

    def is_at(self, unit, index):
        """Return whether *unit* is that of the original *index*, or lies between this and the original above it."""
        end_above = 0
        if index and index - 1 in self.originals.steps:
            end_above = self.units[index - 1]
        elif index:
            end_above = self.units[index - 1] + 1 + CACHES[self.unlinked.code.co_code[2 * self.units[index - 1]]]
        return end_above <= unit <= self.units[index]
