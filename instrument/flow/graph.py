"""The control-flow graph of a code object.

`Instructions` come in; a `ControlFlowGraph` goes out: basic blocks, and the edges along which control goes from one to
the next. One node beside the blocks, `outside`, stands for whatever called this code: it is the graph's entry and its
exit at once, so every activation of the code is a closed walk and what flows into a node flows out of it.

- A block is straight-line code. Exceptions do not cut it: an instruction may raise anywhere, and such an *exceptional
  exit* is no edge. Exits are recorded while the program runs (rewrite.probes), instruction by instruction, and enter
  the sums as known terms (flow.conservation).
- RERAISE adds no traceback entry and RAISE_VARARGS always raises, so these are ordinary edges, to their handler or
  outside.
- A generator that yields leaves (block -> outside) and each resumption enters anew (outside -> block). So generators
  that are suspended, abandoned or closed need no special case.
- `await` and `yield from` spin on SEND, YIELD_VALUE, RESUME and a jump back, without line events; the block leaves at
  the SEND and control enters again behind the loop. The loop itself belongs to no block.

Knuth & Stevenson, BIT 13, 1973, for the closed graph; Ball & Larus, TOPLAS 16, 1994.
"""

from __future__ import annotations

from _bisect import bisect_right

from instrument.decode.call_sites import callable_of
from instrument.decode.instructions import Instructions
from instrument.decode.line_events import LineEvents
from instrument.decode.opcodes import (
    CALL,
    FOR_ITER,
    JUMP_BACKWARD_NO_INTERRUPT,
    JUMPS,
    LOAD_ATTR,
    MAY_RERAISE,
    PLAIN_JUMPS,
    RAISES,
    RERAISE,
    RESUME,
    RETURNS,
    SEND,
    YIELD_VALUE,
)
from instrument.decode.versions import INLINED_CALL_LOSES_LINE

# How control takes an edge; placement derives from it where a probe can stand.
FALL = "fall"  # on to the next instruction
JUMP = "jump"  # a conditional jump that is taken
GOTO = "goto"  # an unconditional jump
ENTER = "enter"  # from outside: a call, or a resumption
LEAVE = "leave"  # to outside: a return, a yield, an await
RAISE = "raise"  # RAISE_VARARGS or RERAISE: always taken
RERAISED = "reraised"  # END_ASYNC_FOR or CLEANUP_THROW that raises again what was caught


class Block:
    """Straight-line instructions `first` to `last`; `head` is the first that is executed, after what is skipped."""

    __slots__ = ("first", "head", "last")

    def __init__(self, first: int, last: int, head: int) -> None:
        self.first = first
        self.last = last
        self.head = head


class Edge:
    """A way from node *source* to node *target*; *lines* are those of the line events that taking it raises.

    *at* is the instruction that leads over the edge: the last of its block, or for `ENTER` the RESUME or SEND.
    *target_instruction* is the first that is executed behind it, -1 outside.
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
    """A block that exceptions enter: where its head raises a line event, and from where it does not.

    *line* is the line of the event, or None if there never is one; *eventless_sources* are the instructions that
    enter without one.
    """

    __slots__ = ("block", "eventless_sources", "line")

    def __init__(self, block: int, line: int | None, eventless_sources: frozenset[int]) -> None:
        self.block = block
        self.line = line
        self.eventless_sources = eventless_sources


class ControlFlowGraph:
    """Blocks, edges, and the entries of exceptions, of *instructions*.

    `outside` is the number of the node outside; blocks have the numbers below it, in the order of the code. `events`
    are the line events within the blocks, (instruction, line), in order. `entries` are those of exceptions, one for
    each handler of the exception table. `loops` are the instructions of await loops, which are in no block.
    """

    def __init__(self, instructions: Instructions) -> None:
        self.instructions = instructions
        self.line_events = LineEvents(instructions)
        self.loops = _await_loops(instructions)
        self.blocks = self._cut()
        self.firsts = [block.first for block in self.blocks]
        self.outside = len(self.blocks)
        self.edges: list[Edge] = []
        #: Where INLINED_CALL_LOSES_LINE: calls that raise a line event when they return, if they were inlined, with the
        #: line, and the name of the method that is called if it is one.
        self.inlinable_calls: list[tuple[int, int, str | None]] = []
        self.entries = [self._entry(handler.target) for handler in instructions.table]
        self.events = self._events()
        #: Blocks with line events within.
        self.eventful = {bisect_right(self.firsts, index) - 1 for index, _ in self.events}
        self._connect()
        #: How many ways there are into each node: edges, and the entries of exceptions.
        self.n_ways_into = [0] * (self.outside + 1)
        for way in self.edges:
            self.n_ways_into[way.target] += 1
        for entry in self.entries:
            self.n_ways_into[entry.block] += 1

    def block_of(self, index: int) -> int:
        """Return the block of the instruction at *index*, or -1 if it is in none.

        An exception or a frame found at a yield, a RESUME or in an await loop is outside: its block was left already.
        """
        number = bisect_right(self.firsts, index) - 1
        if number < 0 or index > self.blocks[number].last or index in self.loops:
            return -1
        return -1 if self.instructions.ops[index] in (YIELD_VALUE, SEND, RESUME) else number

    def _cut(self) -> list[Block]:
        instructions = self.instructions
        ops, targets = instructions.ops, instructions.targets
        n = len(ops)
        start = instructions.first + 1
        leaders = {start}
        for index in range(start, n):
            op = ops[index]
            if op in JUMPS:
                leaders.add(targets[index])
                leaders.add(index + 1)
            elif op in RETURNS or op in RAISES or op in MAY_RERAISE or op in (YIELD_VALUE, RESUME):
                leaders.add(index + 1)
                if op == RESUME:
                    leaders.add(index)
        leaders.update(handler.target for handler in instructions.table)
        cuts = sorted(leader for leader in leaders if start <= leader < n)
        blocks = []
        for first, stop in zip(cuts, [*cuts[1:], n]):
            if ops[first] == RESUME or first in self.loops:
                continue
            blocks.append(Block(first, stop - 1, min(first + instructions.n_skipped_at(first), stop)))
        return blocks

    def _entry(self, target: int) -> Entry:
        line_events = self.line_events
        block = bisect_right(self.firsts, target) - 1
        if not line_events.starts[target]:
            return Entry(block, None, frozenset())
        return Entry(block, line_events.lines[target], line_events.eventless_sources(target))

    def _events(self) -> list[tuple[int, int]]:
        line_events = self.line_events
        lines, starts, fires = line_events.lines, line_events.starts, line_events.fires
        events = []
        for block in self.blocks:
            for index in range(block.head + 1, block.last + 1):
                if starts[index] and fires(index - 1, index):
                    line = lines[index]
                    assert line is not None
                    events.append((index, line))
        return events

    def _connect(self) -> None:
        instructions = self.instructions
        ops, targets = instructions.ops, instructions.targets
        first = instructions.first
        n = len(ops)
        self._enter(first, first + 1)
        for number, block in enumerate(self.blocks):
            last = block.last
            op = ops[last]
            if op == SEND:
                self._leave(number, last)
                self._enter(last, targets[last])
            elif op == YIELD_VALUE:
                self._leave(number, last)
                if last + 1 >= n or ops[last + 1] != RESUME:
                    raise ValueError("no RESUME behind a yield")
                self._enter(last + 1, last + 2)
            elif op in RETURNS:
                self._leave(number, last)
            elif op in RAISES:
                self._raise(number, last, RAISE)
            elif op in PLAIN_JUMPS:
                self._go(number, block, GOTO, targets[last])
            else:
                if last + 1 >= n:
                    raise ValueError("control runs off the end of the code")
                self._go(number, block, FALL, last + 1)
                if INLINED_CALL_LOSES_LINE and op == CALL:
                    self._note_call(last)
                if op in JUMPS:
                    self._go(number, block, JUMP, targets[last])
                elif op in MAY_RERAISE:
                    self._raise(number, last, RERAISED)

    def _number(self, first: int) -> int:
        number = bisect_right(self.firsts, first) - 1
        if number < 0 or self.firsts[number] != first:
            raise ValueError(f"control goes to instruction {first}, which starts no block")
        return number

    def _enter(self, at: int, first: int) -> None:
        number = self._number(first)
        head = self.blocks[number].head
        self.edges.append(Edge(self.outside, number, ENTER, at, head, self._lines(at, head)))

    def _leave(self, number: int, at: int) -> None:
        self.edges.append(Edge(number, self.outside, LEAVE, at, -1, ()))

    def _raise(self, number: int, at: int, kind: str) -> None:
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

    def restores_place(self, at: int) -> bool:
        """Return whether *at* is a RERAISE that sets f_lasti back to where the exception was first raised.

        The line event of its handler depends on that place, so it is recorded at run time like an exceptional exit.
        """
        instructions = self.instructions
        return instructions.ops[at] == RERAISE and instructions.args[at] != 0 and instructions.handlers[at] >= 0

    def _go(self, number: int, block: Block, kind: str, first: int) -> None:
        target = self._number(first)
        head = self.blocks[target].head
        # The instruction that was executed last: a block that is all skipped leaves it to the FOR_ITER that led to it.
        prev = block.last if block.head <= block.last else self._loop_before(block.first)
        lines: tuple[int, ...] = ()
        if head <= self.blocks[target].last:
            lines = self._lines(prev, head)
            if kind == GOTO and self.line_events.loops_on_one_line(block.last, first):
                line = self.line_events.lines[block.last]
                assert line is not None
                lines = (line, *lines)
        self.edges.append(Edge(number, target, kind, block.last, head, lines))

    def _note_call(self, call: int) -> None:
        line_events = self.line_events
        line = line_events.lines[call + 1]
        if line_events.starts[call + 1] and line == line_events.lines[call]:
            assert line is not None
            self.inlinable_calls.append((call, line, self._method_called_by(call)))

    def _method_called_by(self, call: int) -> str | None:
        """Return the name that the callable of *call* was looked up by on an object, None if it was not or is not
        certain.
        """
        instructions = self.instructions
        index = callable_of(instructions, call)
        if index < 0 or instructions.ops[index] != LOAD_ATTR or not instructions.args[index] & 1:
            return None
        return instructions.code.co_names[instructions.args[index] >> 1]

    def _loop_before(self, end: int) -> int:
        instructions = self.instructions
        ways = (index for index, target in enumerate(instructions.targets) if target == end)
        for index in ways:
            if instructions.ops[index] == FOR_ITER:
                return index
        raise ValueError(f"nothing leads to the end of a loop at instruction {end}")

    def _lines(self, prev: int, here: int) -> tuple[int, ...]:
        line_events = self.line_events
        if here >= len(line_events.starts) or not line_events.fires(prev, here):
            return ()
        line = line_events.lines[here]
        assert line is not None
        return (line,)

    def __str__(self) -> str:
        """Draw the blocks with their instructions and edges, for bug reports."""
        rows = []
        for number, block in enumerate(self.blocks):
            rows.append(f"block {number}")
            rows.extend("    " + self.instructions.describe(index) for index in range(block.first, block.last + 1))
            leaving = (edge for edge in self.edges if edge.source == number)
            rows.extend(f"  -> {self.name(edge.target)} {edge.kind} {edge.lines or ''}" for edge in leaving)
        return "\n".join(rows)

    def name(self, node: int) -> str:
        """Return what *node* is called in messages."""
        return "outside" if node == self.outside else f"block {node}"


def build(code: Instructions) -> ControlFlowGraph:
    """Return the control-flow graph of *code*; raise ValueError if its shape is not one that a compiler makes."""
    return ControlFlowGraph(code)


def _await_loops(instructions: Instructions) -> frozenset[int]:
    """Return the instructions of all loops that wait for a SEND to end, the SEND itself excepted."""
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
