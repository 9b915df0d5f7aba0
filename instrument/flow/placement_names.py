"""The names of all placements: the rules that say which edges of a code object get a probe.

- `minimal`: as few probes as determine all counts. The flow into each block equals the flow out of it. So the counts of
  the edges outside a spanning tree (the chords) determine all others. If the tree has the greatest weight, the chords
  are the rare edges. (Knuth & Stevenson, BIT 13, 1973; Ball & Larus, TOPLAS 16, 1994; GCC's -fprofile-arcs; LLVM's
  PGOInstrumentation.) Small loops are unrolled (decode.unrolling).
- `line`: a probe for every line event and every function entry. It is the plain reference for tests of `minimal`.
- `events`: the places of `line`, with probes that call a function instead of counting: lines are traced as they run.
- `calls`: the places of function entries only, with probes that call.
- `nothing`: no probe, for code that is not measured but may call an executor.

These names are in a module of their own because each start needs them. It rarely needs `flow.placement`.
"""

from __future__ import annotations

MINIMAL = "minimal"
LINE = "line"
EVENTS = "events"
CALLS = "calls"
NOTHING = "nothing"
#: The placements whose probes call a function.
CALLING = (EVENTS, CALLS)
#: The placements whose probes count.
PLACEMENTS = (MINIMAL, LINE)
