"""The plan of a code object: its probes, and how all counts follow from them.

`flow.placement` builds Plans; `rewrite` puts their probes into code, and `flow.conservation` recovers counts with them.
A Plan is a value: nothing changes it. `flow.packing` packs Plans.

Indices of instructions are those of the `Instructions` that the graph was built from.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    #: The meaning of one count of a probe: control took the edge with this number. Or: (whether it is a function entry,
    #: lines of the events that were raised). Or None: an exit.
    Measure = int | tuple[bool, tuple[int, ...]] | None
    #: The counts that one more count of a probe implies: function entries, then line and times, line and times, …
    LineEffect = tuple[int, ...]


class ProbePosition:
    """Where a probe stands in relation to an instruction."""

    BEFORE = "before"  # passed whenever control arrives at the instruction
    FALLING = "falling"  # passed if control falls into the instruction, not if it jumps there

    #: Passed if the jump is taken: above its target if nothing else arrives there, else behind a second jump.
    TAKEN = "taken"
    INLINED = "inlined"  # passed when the call returns, if the interpreter inlined it
    RAISING = "raising"  # passed if the instruction raises an exception again: on the way to the handler
    EXITING = "exiting"  # passed if the instruction, or another one with the same number in `stubs`, raises

    #: The index of a position stands for it in packed Plans.
    ALL = (BEFORE, FALLING, TAKEN, INLINED, RAISING, EXITING)


class ExitKind:
    """Which place a record of exits has for an exception."""

    RAISED = "raised"  # the place where an instruction raised
    RESTORED = "restored"  # the place that a RERAISE restores: where the exception was raised first


class Probe:
    """A probe at *position*, one of ProbePosition, of the instruction *index*.

    *rollback_at* is an instruction below the probe at which a frame may be interrupted or wait. Such a frame has passed
    the probe, but not the edge that the probe counts. It is -1 if there is no such instruction.
    """

    __slots__ = ("index", "position", "rollback_at")

    def __init__(self, position: str, index: int, rollback_at: int = -1) -> None:
        self.position = position
        self.index = index
        self.rollback_at = rollback_at

    def __repr__(self) -> str:
        return f"<probe {self.position} {self.index}>"


class LineEffects:
    """The LineEffect of each probe of a Plan, by columns, up to the first probe whose effect is not known.

    - `n_lines`: for each of these probes, how many lines one more count implies.
    - `entered`: for each of them, the function entries that one more count implies.
    - `lines`, `times`: the lines that one more count implies, probe by probe, and how often each. Those of one probe
      are distinct.
    """

    __slots__ = ("entered", "lines", "n_lines", "times")

    def __init__(
        self, n_lines: Sequence[int], entered: Sequence[int], lines: Sequence[int], times: Sequence[int]
    ) -> None:
        self.n_lines = n_lines
        self.entered = entered
        self.lines = lines
        self.times = times


class Plan:
    """The probes of one code object, and the facts from which its counts are recovered. Immutable.

    Probes

        placement           the placement, see flow.placement
        probes              one Probe for each counter, in the order of the counters
        measured_by_probe   the Measure of each probe
        inlinable           for each INLINED probe the name of the method that is called, or None
        exiting             the EXITING probes: (number of the probe, record that it replaces)
        stubs               for each instruction whose exits an EXITING probe counts: the number of the probe. Only
                            rewriting needs it; not packed
        line_effects        the LineEffect of each probe, valid while there are no exits; None for EXITING probes. None
                            for all if they are not known. Only fast reading needs them; packed apart

    Exits

        exits               the records of exits: (number of the entry or -1 for outside, ExitKind)
        entries             the blocks that exceptions enter: (block, line of the event or None, instructions that enter
                            without the event)
        eventless_sources   for each entry with a RESTORED record: the instructions whose exceptions enter without the
                            event
        raised_again        for each entry with a RESTORED record: the instructions whose exceptions were raised again
                            elsewhere before they enter, if the record does not tell that place
        raise_reported_at   instructions that cannot raise, but at which exits of another instruction are recorded, or
                            at which a frame has not passed the probe of its block yet: that other instruction
        outside_block       instructions at which a frame is in no block: it was left before, or is not entered yet
        resumed             those of `outside_block` at which an exception that is thrown in arrives

    Flow

        blocks              first and last instruction of each block
        edges               (source, target, lines of the events, is a function entry), by number
        events              the line events within blocks: (instruction, line)
        settling_order      the edges of the spanning tree in the order in which conservation settles them: (edge, node)

    Exec'd code

        exec_calls          calls that may be calls of an executor: (instruction, number of the namespace argument or 0)
    """

    __slots__ = (
        *("placement", "probes", "measured_by_probe", "inlinable", "exiting", "stubs", "line_effects"),
        *("exits", "entries", "eventless_sources", "raised_again", "raise_reported_at", "outside_block", "resumed"),
        *("blocks", "edges", "events", "settling_order", "exec_calls"),
    )

    placement: str
    probes: tuple[Probe, ...]
    measured_by_probe: tuple[Measure, ...]
    inlinable: tuple[str | None, ...]
    exiting: tuple[tuple[int, int], ...]
    stubs: Mapping[int, int]
    line_effects: tuple[LineEffect | None, ...] | None
    exits: tuple[tuple[int, str], ...]
    entries: tuple[tuple[int, int | None, frozenset[int]], ...]
    eventless_sources: Mapping[int, frozenset[int]]
    raised_again: Mapping[int, frozenset[int]]
    raise_reported_at: Mapping[int, int]
    outside_block: frozenset[int]
    resumed: frozenset[int]
    blocks: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int, tuple[int, ...], bool], ...]
    events: tuple[tuple[int, int], ...]
    settling_order: tuple[tuple[int, int], ...]
    exec_calls: tuple[tuple[int, int], ...]

    def __init__(self, **fields: Any) -> None:
        if fields.keys() != _FIELDS:
            raise TypeError(f"a Plan has other fields than {', '.join(fields)}")
        for name, value in fields.items():
            _set_field(self, name, tuple(value) if type(value) is list else value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of a Plan cannot be changed")


_FIELDS = frozenset(Plan.__slots__)
_set_field = object.__setattr__
