"""The oracle's verdict: the standard library's `trace` and `instrument` agree on every program of tests/programs."""

import functools
import sys
import sysconfig

import oracle
import pytest

PLACEMENTS = "line", "minimal"

#: What `Trace` is asked for, by the name of the comparison.
MODES = {
    "count": {},
    "countfuncs": {"countfuncs": 1},
    "countcallers": {"countcallers": 1},
    "trace": {"trace": 1, "ignoredirs": [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]},
}

#: Program, mode → the versions on which the two may differ, and why. A difference anywhere else is a bug.
SPECIALISED = "whether 3.12 reports this line twice hangs on whether the stdlib's run has specialised the site"
KNOWN_DIFFERENCES = {}

PROGRAMS = oracle.programs()

#: Programs that one process runs, one fork each: starting an interpreter for each would take most of the time.
BATCH = 60


@functools.cache
def outcomes(batch, placement, mode):
    """Return path → Outcome for the programs of one batch, under `trace` if *placement* is None."""
    paths = PROGRAMS[batch * BATCH : (batch + 1) * BATCH]
    return dict(zip(paths, oracle.run_programs(paths, placement, **MODES[mode]), strict=True))


def both(path, placement, mode):
    """Return the Outcomes of the program at *path* under `trace` and under `instrument`."""
    batch = PROGRAMS.index(path) // BATCH
    return outcomes(batch, None, mode)[path], outcomes(batch, placement, mode)[path]


def assert_same(path, mode, expected, found):
    """Fail with a readable difference, unless it is a known one."""
    shown = oracle.difference(expected, found)
    versions, reason = KNOWN_DIFFERENCES.get((oracle.program_name(path), mode), ((), ""))
    if shown and sys.version_info[:2] in versions:
        pytest.xfail(reason)

    assert not shown, f"{path}\n{shown}"


on_programs = pytest.mark.parametrize("path", PROGRAMS, ids=oracle.program_name)
in_placements = pytest.mark.parametrize("placement", PLACEMENTS)
# Where to count is a question for counts alone: all else is done by calls, whatever the placement.
in_modes = pytest.mark.parametrize(
    ("placement", "mode"), [("line", "count"), *(("minimal", mode) for mode in MODES)], ids=lambda name: name
)


@in_placements
@on_programs
def test_counts(path, placement):
    """Every line of the program's own files has the same count."""
    expected, found = both(path, placement, "count")

    assert_same(path, "count", oracle.own_counts(expected, path), oracle.own_counts(found, path))


@in_placements
@on_programs
def test_counts_of_every_file(path, placement):
    """What the program imports and calls has the same counts too, the standard library included."""
    expected, found = both(path, placement, "count")

    assert_same(path, "everywhere", oracle.all_counts(expected), oracle.all_counts(found))


@in_modes
@on_programs
def test_outcome(path, placement, mode):
    """The program prints the same, fails with the same traceback, leaves the same status; no trace function is set."""
    expected, found = both(path, placement, mode)

    assert_same(path, "outcome", oracle.printed(expected), oracle.printed(found))
    assert_same(path, "outcome", expected.stderr.splitlines(), found.stderr.splitlines())
    assert (expected.status, ()) == (found.status, found.tracers)


@on_programs
def test_called_functions(path):
    """The same functions were called."""
    expected, found = both(path, "minimal", "countfuncs")

    assert_same(path, "countfuncs", oracle.called_functions(expected), oracle.called_functions(found))


@on_programs
def test_calling_relationships(path):
    """The same functions called the same functions."""
    expected, found = both(path, "minimal", "countcallers")

    assert_same(path, "countcallers", oracle.calling_relationships(expected), oracle.calling_relationships(found))


@on_programs
def test_counts_while_printing(path):
    """Printing each line as it runs does not change the counts."""
    expected, found = both(path, "minimal", "trace")

    assert_same(path, "count", oracle.own_counts(expected, path), oracle.own_counts(found, path))


@pytest.mark.parametrize("path", [path for path in PROGRAMS if oracle.expected_counts(path)], ids=oracle.program_name)
def test_stated_counts(path):
    """The counts that a program states in its comments are those that `trace` finds, on every version."""
    outcome, _ = both(path, PLACEMENTS[0], "count")
    counts = {line: count for (name, line), count in oracle.own_counts(outcome, path).items() if name == path}

    assert oracle.expected_counts(path) == counts


def test_there_are_many_programs():
    """The collection is large, and much of it states its truth."""
    assert len(PROGRAMS) >= 200
    assert sum(1 for path in PROGRAMS if oracle.expected_counts(path)) >= 40
