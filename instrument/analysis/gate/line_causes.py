"""LineCauses: traces a line of a function that ran more often back to the line that decided so.

The change of a function comes in; a LineCause goes out for each line.
"""

from __future__ import annotations

from typing import NamedTuple

from instrument.analysis.gate.comparison import Growth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.analysis.gate.comparison import FunctionChange

# The kinds of causes.
#: HEAD has the line, and BASE has not.
NEW_LINE = "new line"
#: The line has other code than before, and ran no more often: it may call another function.
CHANGED_LINE = "changed line"
#: A loop turned more often.
LOOP = "loop"
#: Control went one way more often, compared with the other ways.
BRANCH = "branch"
#: The line executed more instructions each time, as a comprehension over more elements does.
COST = "cost"
#: The line ran more often, and no arc says why: it has moved into a loop, or an exception led to it.
MORE = "more often"
#: The function was called more often, and no line that calls it is known to have run more often.
CALLS = "calls"
#: The function was called more often. No Cause has this kind: the search goes on at the line that calls it.
START = "start"
#: The kinds of causes that lines behind a line have in common with it.
_OF_WAYS = (LOOP, BRANCH, MORE)


class LineCause(NamedTuple):
    """A cause of one of the kinds above, at a *line*; see `causes.Cause`."""

    kind: str
    line: int
    target: int
    counts: Growth


class LineCauses:
    """The causes of the growth of lines within one function, whose *change* is given."""

    def __init__(self, change: FunctionChange) -> None:
        self.change = change
        self._causes: dict[int, LineCause] = {}
        self._ways_in: dict[int, dict[int, int]] = {}
        self._ways_out: dict[int, dict[int, Growth]] = {}
        #: The new loop that each new line is in; and the last line from which control goes to a line at once.
        self._loops: dict[int, int] = {}
        self._last_lines: dict[int, int] = {}
        before, after = change.before.arcs, change.after.arcs
        for line, target in after:
            self._last_lines[target] = max(self._last_lines.get(target, 0), line)
        for arc in before.keys() | after.keys():
            line, target = arc
            growth = Growth(before.get(arc, 0), after.get(arc, 0))
            self._ways_out.setdefault(line, {})[target] = growth
            if growth.change > 0 and target > 0:
                self._ways_in.setdefault(target, {})[line] = growth.change

    def executions(self, line: int) -> Growth:
        """Return how often *line* began."""
        return Growth(self.change.before.executions.get(line, 0), self.change.after.executions.get(line, 0))

    def instructions(self, line: int) -> Growth:
        """Return how many instructions of *line* were executed."""
        return Growth(self.change.before.instructions.get(line, 0), self.change.after.instructions.get(line, 0))

    def calls(self) -> Growth:
        """Return how often the function was called."""
        return Growth(self.change.before.calls, self.change.after.calls)

    def cause_of(self, line: int) -> LineCause:
        """Return the cause of the growth of *line*."""
        if line not in self._causes:
            self._causes[line] = self._find_cause(line)
        return self._causes[line]

    def _find_cause(self, line: int) -> LineCause:
        if self.change.place_before is None:
            return LineCause(START, line, 0, self.calls())
        if line in self.change.new_lines:
            return self._new_line(self._new_loop_around(line) or line)
        if line in self.change.changed_lines and self.executions(line).change <= 0:
            return LineCause(CHANGED_LINE, line, 0, self.executions(line))
        if self.costs_more(line):
            return LineCause(COST, line, 0, self.instructions(line))
        if self._follows_calls(line):
            return LineCause(START, line, 0, self.calls())
        return self._traced_back(line)

    def _traced_back(self, line: int) -> LineCause:
        """Return the cause that control came to *line* more often: a loop or branch, or the first line without one."""
        visited: set[int] = set()
        without_source = 0
        pending = [line]
        while pending:
            current = pending.pop()
            if current in visited:
                continue
            visited.add(current)
            if current in self._causes and self._causes[current].kind in _OF_WAYS:
                return self._causes[current]  # long functions have chains of lines with one cause
            sources = self._sources(current)
            for source in sources:
                if self._decides(source, current):
                    return self._decision(source, current)
            is_new = current in self.change.new_lines
            if not is_new and any(self._was_put_between(source, current) for source in sources):
                return LineCause(MORE, current, 0, self.executions(current))
            if not sources and self.executions(current).change > 0:
                without_source = without_source or current
            pending += reversed(sources)
        current = without_source or line
        return LineCause(MORE, current, 0, self.executions(current))

    def costs_more(self, line: int) -> bool:
        """Return whether more than half of the growth of *line* is more instructions for each time it began."""
        executions, instructions = self.executions(line), self.instructions(line)
        if not any(executions):
            executions = self.calls()  # the line of a `def` does not begin, nor do those of a generator expression
        if instructions.change <= 0:
            return False
        if executions.change == 0:
            return True
        if not executions.before:
            return False
        # The arithmetic is exact: all numbers are multiplied by the executions before.
        expected = max(instructions.before * executions.after, instructions.before * executions.before)
        return 2 * (instructions.after * executions.before - expected) > instructions.change * executions.before

    def _sources(self, line: int) -> list[int]:
        """Return the lines from which control came to *line* more often, from most to least."""
        sources = self._ways_in.get(line, {})
        return sorted(sources, key=lambda source: (-sources[source], source))

    def _new_line(self, line: int) -> LineCause:
        return LineCause(NEW_LINE, line, 0, self.executions(line))

    def _decision(self, source: int, target: int) -> LineCause:
        """Return the cause that control went from *source* to *target* more often."""
        if source in self.change.new_lines:
            return self._new_line(source)
        kind = LOOP if self._is_loop(source, target) else BRANCH
        return LineCause(kind, source, target, self._ways_out[source][target])

    def _new_loop_around(self, line: int) -> int:
        """Return the header of the new loop that the new *line* is in, the innermost one; 0 if it is in none."""
        if line not in self._loops:
            self._loops[line] = self._find_new_loop(line)
        return self._loops[line]

    def _find_new_loop(self, line: int) -> int:
        current, visited = line, {line}
        while True:
            if current in self._loops:
                return self._loops[current]
            sources = [source for source in self._sources(current) if source in self.change.new_lines - visited]
            for source in sources:
                if self._is_loop(source, current):
                    return source
            if not sources:
                return 0
            current = sources[0]
            visited.add(current)

    def _decides(self, source: int, target: int) -> bool:
        """Return whether *source* is the reason why control went from there to *target* more often.

        It is if the way to *target* grew more than the other ways from *source* did. If all ways grew alike, the
        reason is further up.
        """
        way = self._ways_out[source][target]
        others = [growth for each, growth in self._ways_out[source].items() if each != target]
        others_before, others_after = sum(each.before for each in others), sum(each.after for each in others)
        if source in self.change.new_lines:
            return others_after > 0
        if not others_before or self._was_put_between(source, target):
            return False
        # Multiplied by `others_before`, so that the arithmetic is exact.
        expected = max(way.before * others_after, way.before * others_before)
        return 2 * (way.after * others_before - expected) >= way.change * others_before

    def _was_put_between(self, source: int, target: int) -> bool:
        """Return whether control goes from *source* to *target* on its way to a line to which it went at once before.

        Then the text of *target* has moved there, or is new.
        """
        is_moved = target in self.change.new_lines or self.executions(target).before
        if self._ways_out[source][target].before or not is_moved:
            return False
        return any(
            way.change < 0 and each > 0 and self.executions(each).change >= 0 and self.executions(each).before
            for each, way in self._ways_out[source].items()
            if each != target
        )

    def _is_loop(self, source: int, target: int) -> bool:
        """Return whether *target* is the first line of the body of a loop, and *source* is its header."""
        return target > source and self._last_lines.get(source, 0) >= target

    def _follows_calls(self, line: int) -> bool:
        """Return whether at least half of the growth of *line* is due to more calls of the function."""
        calls, executions = self.calls(), self.executions(line)
        if not any(executions):
            executions = self.instructions(line)
        if calls.change <= 0:
            return False
        if not calls.before:
            return True
        expected = executions.before * calls.after
        return 2 * (executions.after * calls.before - expected) <= executions.change * calls.before
