"""`Trace` has the interface of the standard library's class, and its rules."""

import pickle
import sys
import trace

import pytest
from tracers import FILE, STDLIB, make_tracer, run

import instrument
from instrument import trace as trace_module

PUBLIC = "counts pathtobasename donothing trace ignore infile outfile start_time _calledfuncs _callers _caller_cache"
METHODS = "file_module_function_of globaltrace_trackcallers globaltrace_countfuncs globaltrace_lt"
METHODS += " localtrace_trace_and_count localtrace_trace localtrace_count run runctx runfunc results"


def test_trace_has_the_names_of_the_standard_class():
    """It has every attribute and method that programs use, and the module exports the same two names."""
    tracer = make_tracer()
    for name in (*PUBLIC.split(), *METHODS.split(), "globaltrace", "localtrace"):
        assert hasattr(tracer, name), name
    assert sorted(trace_module.__all__) == sorted(trace.__all__)
    imported = "PRAGMA_NOCOVER _Ignore _modname _fullmodname _find_lines _find_strings _find_executable_linenos"
    for name in imported.split():
        assert hasattr(trace_module, name), name


@pytest.mark.parametrize("number", range(16))
def test_options_choose_the_handlers_that_the_standard_class_chooses(number):
    """Callers come before functions, and functions before trace and count."""
    options = {name: number >> bit & 1 for bit, name in enumerate(("countcallers", "countfuncs", "trace", "count"))}
    mine, theirs = make_tracer(**options), trace.Trace(**options)
    assert mine.donothing == theirs.donothing
    for name in ("globaltrace", "localtrace"):
        chosen = [getattr(getattr(tracer, name, None), "__name__", None) for tracer in (mine, theirs)]
        assert chosen[0] == chosen[1]


def test_a_program_runs_uncounted_with_neither_count_nor_trace():
    """The command runs, and no line is counted."""
    tracer = make_tracer(count=0)
    assert run(tracer, "x = 1")["x"] == 1
    assert tracer.runfunc(len, "abc") == 3
    assert tracer.results().counts == {}


def test_lists_of_functions_and_of_callers_exclude_counts():
    """With countfuncs or countcallers, count=1 counts no line."""
    source = "def f():\n    return 1\nf()\n"
    called, callers = make_tracer(countfuncs=1), make_tracer(countcallers=1, countfuncs=1)
    run(called, source)
    run(callers, source)
    assert (FILE, "program", "f") in called.results().calledfuncs
    assert not called.counts
    assert ((FILE, "program", "<module>"), (FILE, "program", "f")) in callers.results().callers
    assert not callers.counts
    assert not callers.results().calledfuncs


def test_runfunc_needs_a_function_and_passes_on_all_keywords():
    """Without a function it raises TypeError. Keywords called self and func belong to the function."""
    tracer = make_tracer()
    with pytest.raises(TypeError):
        tracer.runfunc()
    with pytest.raises(TypeError):
        tracer.runfunc(func=len)
    assert tracer.runfunc(lambda *args, **kw: (args, kw), 1, self=2, func=3) == ((1,), {"self": 2, "func": 3})


def test_runctx_creates_new_namespaces():
    """Globals and locals default to two new and empty dictionaries in each call."""
    seen = []
    for tracer in (make_tracer(), trace.Trace(count=1, trace=0)):
        sys.modules["_seen"] = seen
        try:
            tracer.runctx(
                "import sys; sys.modules['_seen'].append((globals() is locals(), sorted(globals()), sorted(locals())))"
            )
        finally:
            del sys.modules["_seen"]
    assert seen[0] == seen[1] == (False, ["__builtins__"], ["sys"])
    namespace = {}
    assert make_tracer().runctx("x = 1", namespace) is None
    assert "x" not in namespace


@pytest.mark.parametrize("kind", [str, str.encode, lambda source: compile(source, "<string>", "exec")])
def test_commands_are_text_bytes_or_code(kind):
    """All three run. They are counted under <string> if their namespace has a file."""
    tracer = make_tracer()
    namespace = {"__file__": FILE}
    tracer.runctx(kind("x = 1\nfor y in 'ab': x += 1"), namespace)
    assert tracer.counts == {("<string>", 1): 1, ("<string>", 2): 3 if tracer.counts["<string>", 2] == 3 else 5}
    tracer.runctx(kind("x = 1"), {})
    assert tracer.counts["<string>", 1] == 1


def test_run_uses_the_namespace_of_main():
    """`run` executes in `__main__`, whose names are both globals and locals."""
    import __main__

    try:
        make_tracer().run("instrument_was_here = globals() is locals()")
        assert __main__.instrument_was_here is True
    finally:
        vars(__main__).pop("instrument_was_here", None)


def test_results_share_the_counts_of_all_runs():
    """The results have the dictionary of the tracer, with the counts of all its runs."""
    tracer = make_tracer()
    for n_runs in (1, 2, 3):
        run(tracer, "x = 1\ny = 2\n")
        results = tracer.results()
        assert results.counts is tracer.counts
        assert results.counts == {(FILE, 1): n_runs, (FILE, 2): n_runs}
    assert isinstance(results, instrument.CoverageResults)


def test_each_call_of_results_adds_the_infile(tmp_path):
    """Two calls add its counts twice, as in the standard library."""
    path = tmp_path / "counts"
    path.write_bytes(pickle.dumps(({(FILE, 1): 3}, {}, {}), 1))
    mine, theirs = make_tracer(infile=str(path), outfile="out"), trace.Trace(count=1, trace=0, infile=str(path))
    run(mine, "x = 1")
    run(theirs, "x = 1")
    assert mine.results().outfile == "out"
    theirs.results()
    assert mine.results().counts[FILE, 1] == theirs.results().counts[FILE, 1] == 7


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_exceptions_of_the_program_reach_the_caller_and_counts_are_kept(kind):
    """All lines that ran before are counted."""
    tracer = make_tracer()
    with pytest.raises(kind):
        run(tracer, "x = 1\ny = 2\nraise kind\nz = 3\n", kind=kind)
    assert tracer.counts == {(FILE, 1): 1, (FILE, 2): 1, (FILE, 3): 1}


def test_an_unknown_placement_raises_ValueError():
    """The message names the two placements for users, and none of the placements that call."""
    for placement in ("best", "", None, "events", "calls", "nothing"):
        with pytest.raises(ValueError, match="'minimal' or 'line'"):
            make_tracer(placement=placement)
    with pytest.raises(TypeError):
        instrument.Trace(1, 0, 0, 0, (), (), None, None, False, "line")


@pytest.mark.parametrize("placement", ["minimal", "line"])
def test_both_placements_count_what_the_standard_class_counts(placement):
    """The program has loops, branches and exceptions."""
    source = "def f(n):\n  for i in range(n):\n    if i % 3:\n      continue\n    try:\n      1 / (i % 2)\n    except ZeroDivisionError:\n      pass\nf(20)\n"
    mine, theirs = make_tracer(placement=placement), trace.Trace(count=1, trace=0)
    run(mine, source)
    run(theirs, source)
    assert mine.counts == {key: count for key, count in theirs.results().counts.items() if key[0] == FILE}


@pytest.mark.parametrize("timing", [False, True])
def test_lines_are_printed_before_they_run(capsys, timing, tmp_path):
    """With trace=1 the module, the function and the lines are printed; with timing the seconds come first."""
    file = tmp_path / "shown.py"
    file.write_text("x = 1\nfor y in 'ab':\n    x += 1\n")
    printed = []
    for kind in (trace.Trace, instrument.Trace):
        options = {"timing": timing, "ignoredirs": [] if kind is trace.Trace else STDLIB}
        namespace = {"__file__": str(file), "__name__": "shown"}
        kind(1, 1, **options).runctx(compile(file.read_text(), str(file), "exec"), namespace, namespace)
        rows = [row for row in capsys.readouterr().out.splitlines() if "shown" in row]
        printed.append([row.partition(" ")[2] if timing and not row.startswith(" ---") else row for row in rows])
    assert printed[0] == printed[1]
    assert len(printed[0]) == 7


def test_new_namespaces_get_the_builtins_of_the_program():
    """`exec` adds the builtins of the frame that calls it. Those of this package are copies."""
    import builtins

    namespace = {}
    instrument.Trace(count=1, trace=0).runctx("x = 1", namespace, namespace)
    assert namespace["__builtins__"] is vars(builtins)
    with pytest.raises(TypeError):
        instrument.Trace(count=1, trace=0).runctx("x = 1", 5)
