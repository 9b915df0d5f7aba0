"""Recovers the counts of a code object from its counters alone, which suffices for most code.

The effects of the probes (`LineEffects`) come in, with the counters. Counts go out, or None: then `flow.conservation`
recovers them by the Plan. Most processes never need that module.
"""

from __future__ import annotations

from instrument.model.counts import Counts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.flow.plan import LineEffects


def recover_fast(effects: LineEffects, counters: Sequence[int]) -> Counts | None:
    """Return the Counts that *counters* imply by the *effects* of their probes alone.

    Return None if `conservation.recover` is needed.

    The caller has checked that no exit was recorded and no frame is in flight.
    """
    if any(counters[len(effects.n_lines) :]):
        return None
    lines: dict[int, int] = {}
    entered = first = 0
    for count, n_lines, entries in zip(counters, effects.n_lines, effects.entered):
        last = first + n_lines
        if count:
            entered += count * entries
            lines_and_times = zip(effects.lines[first:last], effects.times[first:last])
            if lines:
                for line, times in lines_and_times:
                    lines[line] = lines.get(line, 0) + count * times
            else:
                lines = {line: count * times for line, times in lines_and_times}
        first = last
    if entered < 0 or (lines and min(lines.values()) < 0):
        return None
    if 0 in lines.values():
        lines = {line: count for line, count in lines.items() if count}
    return Counts(lines, entered)
