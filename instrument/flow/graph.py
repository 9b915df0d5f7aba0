"""Builds the control-flow graph of a code object.

`Instructions` come in; a `ControlFlowGraph` goes out: basic blocks, and the edges along which control goes from block
to block. One more node, `outside`, stands for the callers of the code. It is the entry and the exit of the graph. So
every activation of the code is a closed walk, and the flow into each node equals the flow out of it.

- A block is straight-line code. Any of its instructions may raise, and the block is not cut there: such an *exit* is
  not an edge. Exits are recorded while the program runs (rewrite.probes), and are known terms in the sums of
  flow.conservation.
- RAISE_VARARGS always raises, and RERAISE adds no entry to the traceback, so both have ordinary edges: to their handler
  or to the outside.
- A generator that yields leaves (block → outside), and each resumption enters again (outside → block). So suspended,
  abandoned and closed generators are no special case.
- An *await loop* is the code of `await` and `yield from`: SEND, YIELD_VALUE, RESUME and a jump back, without line
  events. Control leaves the graph at the SEND and enters again behind the loop. The loop itself is in no block.

Closing the graph by a node outside: Knuth & Stevenson, BIT 13, 1973; Ball & Larus, TOPLAS 16, 1994.
"""

from __future__ import annotations

from _bisect import bisect_right
from itertools import compress, pairwise

from instrument.decode.call_sites import callable_of
from instrument.decode.line_events import LineEvents
from instrument.decode.opcodes import (
    CALL,
    FOR_ITER,
    JUMP_BACKWARD_NO_INTERRUPT,
    JUMPS,
    LOAD_ATTR,
    MAY_RERAISE,
    MOVES_OF_LOCALS,
    POP_TOP,
    RAISES,
    REFERENCES,
    RERAISE,
    RESUME,
    RETURNS,
    SEND,
    SKIPPED,
    UNCONDITIONAL_JUMPS,
    YIELD_VALUE,
    flags_of,
)
from instrument.decode.versions import INLINED_CALL_LOSES_LINE, LOAD_ATTR_SHIFT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.decode.instructions import Instructions

_CO_GENERATOR = 0x20
_POP_TOP = bytes((POP_TOP,))
#: The opcodes behind which a block ends.
_ENDS_BLOCK = flags_of(JUMPS | RETURNS | RAISES | MAY_RERAISE | {YIELD_VALUE, RESUME})
#: The ways out of a block, and by opcode the way out of a block that ends with it.
_FALLS, _BRANCHES, _JUMPS, _RETURNS, _RAISES, _SUSPENDS, _MAY_RERAISE = range(7)
_WAYS_OUT = bytearray(256)
for _way_out, _opcodes in (
    (_BRANCHES, JUMPS),
    (_JUMPS, UNCONDITIONAL_JUMPS),
    (_RETURNS, RETURNS),
    (_RAISES, RAISES),
    (_SUSPENDS, (YIELD_VALUE, SEND)),
    (_MAY_RERAISE, MAY_RERAISE),
):
    for _op in _opcodes:
        _WAYS_OUT[_op] = _way_out


class EdgeKind:
    """How control takes an edge; the possible positions of a probe follow from it (flow.placement)."""

    FALL = "fall"  # on to the next instruction
    JUMP = "jump"  # a conditional jump is taken
    GOTO = "goto"  # an unconditional jump
    ENTER = "enter"  # from outside: a call or a resumption
    LEAVE = "leave"  # to outside: a return, a yield or an await
    RAISE = "raise"  # RAISE_VARARGS or RERAISE, which always raise
    RERAISED = "reraised"  # END_ASYNC_FOR or CLEANUP_THROW raises again the exception that was caught


class Block:
    """The instructions *first* to *last*; *head* is the first that is executed, as FOR_ITER skips others.

    If all instructions are skipped, *head* is *last* + 1.
    """

    __slots__ = ("first", "head", "last")

    def __init__(self, first: int, last: int, head: int) -> None:
        self.first = first
        self.last = last
        self.head = head


class Edge:
    """A way from node *source* to node *target*.

        kind                one of EdgeKind
        at                  the instruction that leads over the edge: the last of the block, or for ENTER the RESUME or
                            SEND
        target_instruction  the first instruction that is executed behind the edge, -1 outside
        lines               the lines of the line events that taking the edge raises

    A graph knows an edge by its index in `edges`.
    """

    __slots__ = ("at", "kind", "lines", "source", "target", "target_instruction")

    def __init__(
        self, source: int, target: int, kind: str, at: int, target_instruction: int, lines: tuple[int, ...]
    ) -> None:
        self.source = source
        self.target = target
        self.kind = kind
        self.at = at
        self.target_instruction = target_instruction
        self.lines = lines


class Entry:
    """A *block* that exceptions enter: the first block of a handler.

    *line* is the line of the event that entering raises, or None if there never is an event. Exceptions from the
    instructions *eventless_sources* enter without the event.
    """

    __slots__ = ("block", "eventless_sources", "line")

    def __init__(self, block: int, line: int | None, eventless_sources: frozenset[int]) -> None:
        self.block = block
        self.line = line
        self.eventless_sources = eventless_sources


class ControlFlowGraph:
    """The blocks and edges of *instructions*.

        blocks              in the order of the code; a block is known by its index
        outside             the number of the node outside, one more than that of the last block
        edges               all edges; an edge is known by its index
        entries             an Entry for each handler in the exception table
        events              line events within blocks: (instruction, line), in order
        await_loops         the instructions of await loops, which are in no block
        inlinable_calls     calls that raise a line event on their return if they were inlined: (instruction, line, name
                            of the method that is called or None). Empty unless versions.INLINED_CALL_LOSES_LINE
        firsts              the first instruction of each block
        lines_within        for each block that has line events within: their lines, in order
        behind_moves        of a generator: first instructions of blocks that begin behind moves of locals (DESIGN.md)
        n_ways_into         for each node, how many edges and handlers lead into it

    Raise ValueError if no compiler makes code of this shape.
    """

    def __init__(self, instructions: Instructions) -> None:
        self.instructions = instructions
        self.line_events = LineEvents(instructions)
        self.await_loops = _await_loops(instructions) if SEND in instructions.ops else frozenset()
        cuts = self._cuts()
        self.behind_moves: frozenset[int] = frozenset()
        if instructions.code.co_flags & _CO_GENERATOR:
            self.behind_moves = self._ends_of_moves(cuts)
            cuts.update(self.behind_moves)
        self.blocks = self._blocks_between(cuts)
        self.firsts = [block.first for block in self.blocks]
        self.outside = len(self.blocks)
        self.edges: list[Edge] = []
        self.inlinable_calls: list[tuple[int, int, str | None]] = []
        self.entries = [self._entry_at(handler.target) for handler in instructions.table]
        self.events: list[tuple[int, int]] = []
        self.lines_within: dict[int, list[int]] = {}
        self._add_events_within_blocks(cuts)
        self._number_at = dict(zip(self.firsts, range(self.outside)))
        self._connect()
        self.n_ways_into = n_ways_into = [0] * (self.outside + 1)
        for edge in self.edges:
            n_ways_into[edge.target] += 1
        for entry in self.entries:
            n_ways_into[entry.block] += 1

    def block_of(self, index: int) -> int:
        """Return the block that is left if control leaves at the instruction *index*; -1 if control is in no block.

        A frame at a yield, at a RESUME or in an await loop is in no block: the block was left before. The same holds
        for an exception that is raised there.
        """
        number = bisect_right(self.firsts, index) - 1
        if number < 0 or index > self.blocks[number].last or index in self.await_loops:
            return -1
        return -1 if self.instructions.ops[index] in (YIELD_VALUE, SEND, RESUME) else number

    def restores_place(self, at: int) -> bool:
        """Return whether *at* is a RERAISE that sets f_lasti back to the place where the exception was first raised.

        The line event of its handler depends on that place. So it is recorded at run time, like an exit.
        """
        instructions = self.instructions
        return instructions.ops[at] == RERAISE and instructions.args[at] != 0 and instructions.handlers[at] >= 0

    # Blocks
    # ##########################################################################################################

    def _cuts(self) -> set[int]:
        """Return the first instructions of blocks, all RESUMEs and instructions of await loops, and the end."""
        instructions = self.instructions
        ops, targets = instructions.ops, instructions.targets
        start = instructions.first + 1
        cuts = set(compress(range(start + 1, len(ops) + 1), ops[start:].translate(_ENDS_BLOCK)))
        cuts.update((start, len(ops)))
        if REFERENCES:
            cuts.update([targets[jump] for jump in instructions.jumps if ops[jump] not in REFERENCES])
        else:
            cuts.update(map(targets.__getitem__, instructions.jumps))
        cuts.update([handler.target for handler in instructions.table])
        resume = ops.find(RESUME, start)
        while resume >= 0:
            cuts.add(resume)
            resume = ops.find(RESUME, resume + 1)
        return cuts if min(cuts) == start else {cut for cut in cuts if cut >= start}

    def _ends_of_moves(self, cuts: set[int]) -> frozenset[int]:
        """Return the first instruction behind the moves of locals with which each block between *cuts* begins.

        A value that was sent to the generator is dropped before. There is none if a block ends with its moves, or if
        only a jump stands behind them.
        """
        ops = self.instructions.ops
        ends = set()
        for first in cuts:
            end = first + (ops[first - 1] == RESUME and ops[first : first + 1] == _POP_TOP)
            while end < len(ops) and ops[end] in MOVES_OF_LOCALS and (end == first or end not in cuts):
                end += 1
            if first < end < len(ops) and end not in cuts and ops[end] not in JUMPS:
                ends.add(end)
        return frozenset(ends)

    def _blocks_between(self, cuts: set[int]) -> list[Block]:
        """Return the blocks in the order of the code, without await loops, RESUMEs and instructions above the body."""
        instructions = self.instructions
        ops, await_loops = instructions.ops, self.await_loops
        blocks = []
        for first, stop in pairwise(sorted(cuts)):
            op = ops[first]
            if op == RESUME or first in await_loops:
                continue
            head = min(first + instructions.n_skipped_at(first), stop) if op == SKIPPED[0] else first
            blocks.append(Block(first, stop - 1, head))
        return blocks

    def _entry_at(self, target: int) -> Entry:
        line_events = self.line_events
        block = bisect_right(self.firsts, target) - 1
        if not line_events.starts[target]:
            return Entry(block, None, frozenset())
        return Entry(block, line_events.lines[target], line_events.eventless_sources(target))

    def _add_events_within_blocks(self, cuts: set[int]) -> None:
        """Add all events within blocks. The event of a block's head belongs to the edges into the block."""
        lines, blocks, firsts = self.line_events.lines, self.blocks, self.firsts
        for index in self.line_events.fired:
            if index in cuts:
                continue
            number = bisect_right(firsts, index) - 1
            line = lines[index]
            if number >= 0 and index > blocks[number].head and line is not None:
                self.events.append((index, line))
                self.lines_within.setdefault(number, []).append(line)

    # Edges
    # ##########################################################################################################

    def _connect(self) -> None:
        """Add all edges: of the entry of the code, then those out of each block."""
        instructions = self.instructions
        ops, targets = instructions.ops, instructions.targets
        ways_out = ops.translate(_WAYS_OUT)
        self._add_entry(instructions.first, instructions.first + 1)
        for number, block in enumerate(self.blocks):
            last = block.last
            way_out = ways_out[last]
            if way_out <= _BRANCHES:
                self._add_step(number, block, EdgeKind.FALL, last + 1)
                if way_out == _BRANCHES:
                    self._add_step(number, block, EdgeKind.JUMP, targets[last])
                elif INLINED_CALL_LOSES_LINE and ops[last] == CALL:
                    self._note_inlinable_call(last)
            elif way_out == _JUMPS:
                self._add_step(number, block, EdgeKind.GOTO, targets[last])
            elif way_out == _RETURNS:
                self._add_exit(number, last)
            elif way_out == _RAISES:
                self._add_raise(number, last, EdgeKind.RAISE)
            elif way_out == _SUSPENDS:
                self._add_exit(number, last)
                self._add_resumption(last)
            else:
                self._add_step(number, block, EdgeKind.FALL, last + 1)
                self._add_raise(number, last, EdgeKind.RERAISED)

    def _add_entry(self, at: int, first: int) -> None:
        number = self._number_at.get(first, -1)
        if number < 0:
            raise self._no_block_starts_at(first)
        head = self.blocks[number].head
        self.edges.append(Edge(self.outside, number, EdgeKind.ENTER, at, head, self._lines_of_step(at, head)))

    def _add_resumption(self, last: int) -> None:
        """Add the edge by which control comes back to a frame that has left at *last*, a SEND or a YIELD_VALUE."""
        ops = self.instructions.ops
        if ops[last] == SEND:
            self._add_entry(last, self.instructions.targets[last])
        elif last + 1 == len(ops) or ops[last + 1] != RESUME:
            raise ValueError("no RESUME behind a yield")
        else:
            self._add_entry(last + 1, last + 2)

    def _add_exit(self, number: int, at: int) -> None:
        self.edges.append(Edge(number, self.outside, EdgeKind.LEAVE, at, -1, ()))

    def _add_raise(self, number: int, at: int, kind: str) -> None:
        instructions = self.instructions
        handler = instructions.handlers[at]
        if handler < 0:
            self.edges.append(Edge(number, self.outside, kind, at, -1, ()))
            return
        entry = self.entries[handler]
        target = instructions.table[handler].target
        lines: tuple[int, ...] = ()
        if not self.restores_place(at) and entry.line is not None and at not in entry.eventless_sources:
            lines = (entry.line,)
        self.edges.append(Edge(number, entry.block, kind, at, target, lines))

    def _add_step(self, number: int, block: Block, kind: str, first: int) -> None:
        """Add the edge from *block*, numbered *number*, to the block that starts at *first*."""
        target = self._number_at.get(first, -1)
        if target < 0:
            raise self._no_block_starts_at(first)
        last = block.last
        target_block = self.blocks[target]
        head = target_block.head
        lines: tuple[int, ...] = ()
        if head <= target_block.last:
            # The instruction that was executed last. If all of the block is skipped, that is the FOR_ITER that did it.
            prev = last if block.head <= last else self._for_iter_that_leads_to(block.first)
            line_events = self.line_events
            if line_events.starts[head]:
                lines = self._lines_of_step(prev, head)
            if kind == EdgeKind.GOTO and line_events.loops_on_one_line(last, first):
                line = line_events.lines[last]
                assert line is not None
                lines = (line, *lines)
        self.edges.append(Edge(number, target, kind, last, head, lines))

    def _no_block_starts_at(self, first: int) -> ValueError:
        """Return the error for control that goes to the instruction *first*."""
        if first == len(self.instructions):
            return ValueError("control runs off the end of the code")
        return ValueError(f"control goes to instruction {first}, which starts no block")

    def _for_iter_that_leads_to(self, target: int) -> int:
        """Return the index of the first FOR_ITER that jumps to *target*; raise ValueError if there is none."""
        instructions = self.instructions
        for jump in instructions.jumps:
            if instructions.targets[jump] == target and instructions.ops[jump] == FOR_ITER:
                return jump
        raise ValueError(f"no FOR_ITER leads to the end of a loop at instruction {target}")

    def _lines_of_step(self, prev: int, here: int) -> tuple[int, ...]:
        """Return the line of the event that the step from instruction *prev* to *here* raises, in a tuple; or ()."""
        line_events = self.line_events
        if here >= len(line_events.starts) or not line_events.fires(prev, here):
            return ()
        line = line_events.lines[here]
        assert line is not None
        return (line,)

    def _note_inlinable_call(self, call: int) -> None:
        line_events = self.line_events
        line = line_events.lines[call + 1]
        if line_events.starts[call + 1] and line == line_events.lines[call]:
            assert line is not None
            self.inlinable_calls.append((call, line, self._method_called_by(call)))

    def _method_called_by(self, call: int) -> str | None:
        """Return the name of the method that *call* calls; None if no method is called, or that is not certain."""
        instructions = self.instructions
        index = callable_of(instructions, call)
        # The lowest bit says that LOAD_ATTR loads a method (3.12 and later; the caller asks on 3.12 only).
        if index < 0 or instructions.ops[index] != LOAD_ATTR or not instructions.args[index] & 1:
            return None
        return instructions.code.co_names[instructions.args[index] >> LOAD_ATTR_SHIFT]

    # Text
    # ##########################################################################################################

    def __str__(self) -> str:
        """Return a drawing of the blocks with their instructions and edges, for bug reports."""
        rows = []
        for number, block in enumerate(self.blocks):
            rows.append(f"block {number}")
            rows.extend("    " + self.instructions.describe(index) for index in range(block.first, block.last + 1))
            edges = (edge for edge in self.edges if edge.source == number)
            rows.extend(f"  -> {self.name(edge.target)} {edge.kind} {edge.lines or ''}" for edge in edges)
        return "\n".join(rows)

    def name(self, node: int) -> str:
        """Return the name of *node* in messages."""
        return "outside" if node == self.outside else f"block {node}"


def build(instructions: Instructions) -> ControlFlowGraph:
    """Return the control-flow graph of *instructions*; raise ValueError if no compiler makes code of this shape."""
    return ControlFlowGraph(instructions)


def _await_loops(instructions: Instructions) -> frozenset[int]:
    """Return the instructions of all await loops, except the SEND that each begins with."""
    ops = instructions.ops
    members = set()
    for index, op in enumerate(ops):
        if op != SEND:
            continue
        end = index + 1
        while ops[end] in (YIELD_VALUE, RESUME):
            members.add(end)
            end += 1
        if ops[end] != JUMP_BACKWARD_NO_INTERRUPT or instructions.targets[end] != index:
            raise ValueError("an await loop of unknown shape")
        members.add(end)
    return frozenset(members)
