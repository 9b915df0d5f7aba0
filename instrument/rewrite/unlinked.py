"""Rewritten code before linking: the result of the rewriter, which `link` stores and links.

The rewriter gives an `Unlinked` its values; `link.unlinked_values` takes it apart. Its code object can be stored and
shared, for it holds no counter yet.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType

    from instrument.flow.plan import Plan


class Unlinked:
    """Rewritten code with placeholders for its appended constants, and the values that linking and recovery need.

    - `code`: the code object; None stands for each appended constant (rewrite.constant_layout).
    - `units`: where each of the *n_instructions* original instructions stands, in code units, ascending; then where
      each jump stands that the rewriter added.
    - `added_jumps`: for each of these jumps, the original instruction that it belongs to, or *n_instructions* + the
      number of the probe that stands above it.
    - `unfired`: for each probe, the code unit at which a trace function may raise before the probe counts. It is 0 if
      no trace function is called there.
    - `plan`: the Plan.
    - `inlinable`: for each inlinable call of the Plan, the name of the method that is called, or None.
    """

    __slots__ = (
        *("added_jumps", "code", "inlinable", "n_exits", "n_instructions", "n_probes", "plan", "unfired", "units"),
    )

    def __init__(
        self,
        code: CodeType,
        plan: Plan,
        n_instructions: int,
        units: Sequence[int],
        added_jumps: Sequence[int],
        unfired: Sequence[int],
    ) -> None:
        self.code = code
        self.plan = plan
        self.n_probes = len(plan.probes)
        self.n_exits = len(plan.exits)
        self.inlinable = tuple(plan.inlinable)
        self.n_instructions = n_instructions
        self.units = tuple(units)
        self.added_jumps = tuple(added_jumps)
        self.unfired = tuple(unfired)
