"""The standard library's `trace` and `instrument` agree on each program of tests/programs.

A test runs a batch of programs with one set of options under both tools, and compares their outcomes. A batch shares
one process, because starting a process takes far longer than running a program.
"""

import os
import re
import sys
import sysconfig

import oracle
import pytest

from instrument.decode.versions import SUPPORTED_VERSIONS

#: Name: (placement, arguments of Trace). Only counts depend on the placement: with other options, probes call.
WAYS = {
    "line": ("line", {}),
    "minimal": ("minimal", {}),
    "countfuncs": ("minimal", {"countfuncs": 1}),
    "countcallers": ("minimal", {"countcallers": 1}),
    "trace": (
        "minimal",
        {"trace": 1, "ignoredirs": [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]},
    ),
}

AUDIT_HOOK = "CPython calls audit hooks with tracing off; probes count them"
THREAD_START = "threading sets the trace function when a thread has half started; probes count all of threading's code"

#: Program: (pattern of the "way: part" that may differ, versions, reason). Any other difference is a bug.
KNOWN_DIFFERENCES = {
    "audit_hook": (": (counts|functions|callers)|trace: printed", SUPPORTED_VERSIONS, AUDIT_HOOK),
    "thread_generator_handed_over": ("elsewhere", SUPPORTED_VERSIONS, THREAD_START),
    "thread_local_values": ("elsewhere", SUPPORTED_VERSIONS, THREAD_START),
    "thread_pool": ("elsewhere", SUPPORTED_VERSIONS, THREAD_START),
    "thread_raises": ("elsewhere", SUPPORTED_VERSIONS, THREAD_START),
    "thread_subclass_with_lock": ("elsewhere", SUPPORTED_VERSIONS, THREAD_START),
    "threads_four_counting": ("elsewhere", SUPPORTED_VERSIONS, THREAD_START),
}

PROGRAMS = oracle.programs()
SIZE_OF_BATCH = 25
BATCHES = [PROGRAMS[start : start + SIZE_OF_BATCH] for start in range(0, len(PROGRAMS), SIZE_OF_BATCH)]


def starts_threads(path):
    """Return whether the program at *path* may start threads, of which `trace` counts `run` but not the start."""
    with open(path, encoding="latin-1") as stream:
        source = stream.read()
    return any(word in source for word in ("thread", "concurrent", "asyncio", "multiprocessing"))


def compared(path, way, outcome):
    """Yield (name, value) for each part of *outcome* that must be equal under both tools."""
    if way in ("line", "minimal", "trace"):
        yield "counts", oracle.own_counts(outcome, path)
    if way in ("line", "minimal"):
        yield "counts elsewhere", oracle.all_counts(outcome)
    functions, calls = oracle.called_functions(outcome), oracle.calling_relationships(outcome)
    yield "functions", {function for function in functions if oracle.is_own(function[0], path)}
    yield "functions elsewhere", functions
    yield "callers", {(caller, callee) for caller, callee in calls if oracle.is_own(callee[0], path)}
    yield "callers elsewhere", calls
    printed = oracle.printed(outcome)
    # The order of threads is not defined.
    yield "printed", sorted(printed) if way == "trace" and starts_threads(path) else printed
    yield "stderr", outcome.stderr.splitlines()
    yield "status", [str(outcome.status)]


def differences(path, way, expected, found):
    """Yield a text for each difference between the outcomes *expected* and *found* that KNOWN_DIFFERENCES lacks."""
    pattern, versions, _ = KNOWN_DIFFERENCES.get(oracle.program_name(path), ("", (), ""))
    for (name, one), (_, other) in zip(compared(path, way, expected), compared(path, way, found), strict=True):
        if sys.version_info[:2] in versions and re.search(pattern, f"{way}: {name}"):
            continue
        if name.startswith("callers"):
            one = oracle.without_forgotten_classes(one, other)
        shown = oracle.difference(one, other)
        if shown:
            yield f"{path}: {name}\n{shown}"
    if found.tracers:
        yield f"{path}\nset {found.tracers}"


def misstated(path, expected):
    """Yield a text if the program at *path* states other counts than those of `trace`."""
    stated = oracle.expected_counts(path)
    counts = {line: count for (name, line), count in oracle.own_counts(expected, path).items() if name == path}
    if stated and stated != counts:
        yield f"{path}: states other counts than those of trace\n{stated}\n{counts}"


#: All programs run with the default placement on each version. Of the other ways, a batch runs one on each version.
EVERY_WAY = bool(os.environ.get("INSTRUMENT_EVERY_WAY"))
RUNS = [
    (batch, way)
    for batch in range(len(BATCHES))
    for number, way in enumerate(WAYS)
    if EVERY_WAY or way == "minimal" or (batch + number + sys.version_info[1]) % 5 == 0
]


@pytest.mark.parametrize(("batch", "way"), RUNS)
def test_outcomes_equal_those_under_trace(batch, way):
    """Counts, calls, output, tracebacks and statuses equal those under `trace`, and no trace function is set.

    Programs that state counts in their comments state those of `trace`.
    """
    paths = BATCHES[batch]
    placement, arguments = WAYS[way]
    expected = oracle.run_programs(paths, None, **arguments)
    found = oracle.run_programs(paths, placement, **arguments)
    shown = [
        difference
        for path, one, other in zip(paths, expected, found, strict=True)
        for difference in differences(path, way, one, other)
    ]
    if way == "minimal":
        shown += [text for path, one in zip(paths, expected, strict=True) for text in misstated(path, one)]

    assert not shown, "\n\n".join(shown)


def test_there_are_many_programs_that_state_their_counts():
    """There are at least 300 programs, and at least 100 of them state their counts."""
    assert len(PROGRAMS) >= 300
    assert sum(1 for path in PROGRAMS if oracle.expected_counts(path)) >= 100
