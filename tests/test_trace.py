"""`Trace` has the surface of the standard library's class, and its rules."""

import contextlib
import importlib.util
import itertools
import os
import pickle
import py_compile
import re
import sys
import sysconfig
import threading
import trace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import instrument
from instrument import trace as ours
from instrument.session import instrumenter
from instrument.session.session import Session
from instrument.trace_runs import run as run_of_trace
from instrument.trace_runs.first_entered import FirstEntered

STDLIB = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix]
FILE = os.sep + os.path.join("surface", "program.py")
PUBLIC = "counts pathtobasename donothing trace ignore infile outfile start_time _calledfuncs _callers _caller_cache"
METHODS = "file_module_function_of globaltrace_trackcallers globaltrace_countfuncs globaltrace_lt"
METHODS += " localtrace_trace_and_count localtrace_trace localtrace_count run runctx runfunc results"


def make(**options):
    """Return a Trace that counts and leaves the standard library alone."""
    return instrument.Trace(**{"count": 1, "trace": 0, "ignoredirs": STDLIB, **options})


def run(tracer, source, **names):
    """Run *source* as the program FILE under *tracer*; return its namespace."""
    namespace = {"__file__": FILE, "__name__": "program", **names}
    tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
    return namespace


def test_has_the_names_of_the_standard_class():
    """Every attribute and method that programs use is there, and the module exports the same two names."""
    tracer = make()
    for name in (*PUBLIC.split(), *METHODS.split(), "globaltrace", "localtrace"):
        assert hasattr(tracer, name), name
    assert sorted(ours.__all__) == sorted(trace.__all__)
    for (
        name
    ) in "PRAGMA_NOCOVER _Ignore _modname _fullmodname _find_lines _find_strings _find_executable_linenos".split():
        assert hasattr(ours, name), name


@pytest.mark.parametrize("number", range(16))
def test_precedence_is_that_of_the_standard_class(number):
    """Callers come before functions, functions before trace and count; the same handlers are chosen, or none."""
    options = {name: number >> bit & 1 for bit, name in enumerate(("countcallers", "countfuncs", "trace", "count"))}
    mine, theirs = make(**options), trace.Trace(**options)
    assert mine.donothing == theirs.donothing
    for name in ("globaltrace", "localtrace"):
        chosen = [getattr(getattr(tracer, name, None), "__name__", None) for tracer in (mine, theirs)]
        assert chosen[0] == chosen[1]


def test_without_anything_to_do_the_program_still_runs():
    """With neither count nor trace the command runs and nothing is counted."""
    tracer = make(count=0)
    assert run(tracer, "x = 1")["x"] == 1
    assert tracer.runfunc(len, "abc") == 3
    assert tracer.results().counts == {}


def test_functions_and_callers_are_listed_and_nothing_is_counted():
    """With countfuncs or countcallers, count=1 counts nothing."""
    source = "def f():\n    return 1\nf()\n"
    called, callers = make(countfuncs=1), make(countcallers=1, countfuncs=1)
    run(called, source)
    run(callers, source)
    assert (FILE, "program", "f") in called.results().calledfuncs
    assert not called.counts
    assert ((FILE, "program", "<module>"), (FILE, "program", "f")) in callers.results().callers
    assert not callers.counts
    assert not callers.results().calledfuncs


def test_runfunc_wants_a_function_and_passes_on_every_keyword():
    """Without a function there is a TypeError; keywords called self and func belong to the function."""
    tracer = make()
    with pytest.raises(TypeError):
        tracer.runfunc()
    with pytest.raises(TypeError):
        tracer.runfunc(func=len)
    assert tracer.runfunc(lambda *args, **kw: (args, kw), 1, self=2, func=3) == ((1,), {"self": 2, "func": 3})


def test_runctx_makes_fresh_namespaces():
    """Globals and locals default to new and empty dicts, two of them, in every call."""
    seen = []
    for tracer in (make(), trace.Trace(count=1, trace=0)):
        sys.modules["_seen"] = seen
        try:
            tracer.runctx(
                "import sys; sys.modules['_seen'].append((globals() is locals(), sorted(globals()), sorted(locals())))"
            )
        finally:
            del sys.modules["_seen"]
    assert seen[0] == seen[1] == (False, ["__builtins__"], ["sys"])
    namespace = {}
    assert make().runctx("x = 1", namespace) is None
    assert "x" not in namespace


@pytest.mark.parametrize("kind", [str, str.encode, lambda source: compile(source, "<string>", "exec")])
def test_commands_are_text_bytes_or_code(kind):
    """Text, bytes and code are all run, and counted under <string> if they have a file."""
    tracer = make()
    namespace = {"__file__": FILE}
    tracer.runctx(kind("x = 1\nfor y in 'ab': x += 1"), namespace)
    assert tracer.counts == {("<string>", 1): 1, ("<string>", 2): 3 if tracer.counts["<string>", 2] == 3 else 5}
    tracer.runctx(kind("x = 1"), {})
    assert tracer.counts["<string>", 1] == 1


def test_run_uses_the_namespace_of_main():
    """`run` executes in `__main__`, whose names are both globals and locals."""
    import __main__

    try:
        make().run("instrument_was_here = globals() is locals()")
        assert __main__.instrument_was_here is True
    finally:
        vars(__main__).pop("instrument_was_here", None)


def test_counts_are_shared_and_accumulate():
    """The results' counts are the tracer's, of all its runs."""
    tracer = make()
    for n_runs in (1, 2, 3):
        run(tracer, "x = 1\ny = 2\n")
        results = tracer.results()
        assert results.counts is tracer.counts
        assert results.counts == {(FILE, 1): n_runs, (FILE, 2): n_runs}
    assert isinstance(results, instrument.CoverageResults)


@pytest.mark.parametrize("timing", [True, False])
def test_the_clock_stands_still_while_code_is_prepared(tmp_path, monkeypatch, capsys, timing):
    """The seconds that are printed are the program's: not those in which we rewrite what it runs, before or meanwhile."""
    now = [100.0]
    monkeypatch.setattr(ours, "monotonic", lambda: now[0])
    (tmp_path / "first.py").write_text("import second\nexec('x = 1')\ny = 2\n", encoding="utf-8")
    (tmp_path / "second.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def slow(function):
        def slowed(*arguments, **more):
            now[0] += 50
            return function(*arguments, **more)

        return slowed

    for module, names in (
        (run_of_trace, ("instrument_existing_functions",)),
        (instrumenter, ("code_if_unmeasured", "bytecode_if_unmeasured")),
        (Session, ("instrument_exec_code", "instrument_module", "instrument_cached_module")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, slow(getattr(module, name)))
    tracer = instrument.Trace(count=0, trace=1, timing=timing, ignoredirs=STDLIB)
    now[0] += 7
    tracer.run("import first")
    first, second = (sys.modules.pop(name) for name in ("first", "second"))

    printed = capsys.readouterr().out
    assert first.y == 2
    assert second.x == 1
    assert printed.count("first.py(3)") == printed.count("second.py(1)") == 1
    assert set(re.findall(r"(\d+\.\d+) (?:first\.py|second\.py|<string>)\(", printed)) == ({"7.00"} if timing else set())


def test_an_infile_is_added_each_time(tmp_path):
    """Two calls of `results` add the counts of the infile twice, as in the standard library."""
    path = tmp_path / "counts"
    path.write_bytes(pickle.dumps(({(FILE, 1): 3}, {}, {}), 1))
    mine, theirs = make(infile=str(path), outfile="out"), trace.Trace(count=1, trace=0, infile=str(path))
    run(mine, "x = 1")
    run(theirs, "x = 1")
    assert mine.results().outfile == "out"
    theirs.results()
    assert mine.results().counts[FILE, 1] == theirs.results().counts[FILE, 1] == 7


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_exceptions_come_through_and_counts_are_kept(kind):
    """What the program raises reaches the caller; all that ran before is counted."""
    tracer = make()
    with pytest.raises(kind):
        run(tracer, "x = 1\ny = 2\nraise kind\nz = 3\n", kind=kind)
    assert tracer.counts == {(FILE, 1): 1, (FILE, 2): 1, (FILE, 3): 1}


def test_an_unknown_placement_is_refused():
    """A placement that is none raises ValueError and says which there are; the calling ones are not for users."""
    for placement in ("best", "", None, "events", "calls", "nothing"):
        with pytest.raises(ValueError, match="'minimal' or 'line'"):
            make(placement=placement)
    with pytest.raises(TypeError):
        instrument.Trace(1, 0, 0, 0, (), (), None, None, False, "line")


@pytest.mark.parametrize("placement", ["minimal", "line"])
def test_every_placement_counts_the_same(placement):
    """Both placements give the counts of the standard library's."""
    source = "def f(n):\n  for i in range(n):\n    if i % 3:\n      continue\n    try:\n      1 / (i % 2)\n    except ZeroDivisionError:\n      pass\nf(20)\n"
    mine, theirs = make(placement=placement), trace.Trace(count=1, trace=0)
    run(mine, source)
    run(theirs, source)
    assert mine.counts == {key: count for key, count in theirs.results().counts.items() if key[0] == FILE}


@pytest.mark.parametrize("timing", [False, True])
def test_lines_are_printed_as_they_run(capsys, timing, tmp_path):
    """trace=1 prints the module, function and lines; with timing the seconds come first."""
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


MODULE = """\
x = 1
def f(inner=int):
    y = inner()
    if y:
        return y
    return x
def g():
    yield
"""


@pytest.fixture(scope="module")
def same_names(tmp_path_factory):
    """Return a folder with two folders, measured and ignored, that hold modules of the same names, with bytecode.

    What is to be measured can be imported: so it is known that there are such names.
    """
    folder = tmp_path_factory.mktemp("order")
    for place in ("measured", "ignored"):
        (folder / place).mkdir()
        for name in ("foo", "__init__"):
            path = folder / place / f"{name}.py"
            path.write_text(MODULE)
            py_compile.compile(str(path))
    sys.path.append(str(folder / "measured"))
    yield folder
    sys.path.remove(str(folder / "measured"))


MODULES = st.tuples(st.sampled_from(["measured", "ignored"]), st.sampled_from(["foo", "__init__"]))
HOW = ["load", "execute", "call", "throw"]


@settings(max_examples=100, deadline=None)
@given(before=st.sets(MODULES), steps=st.lists(st.tuples(st.sampled_from(HOW), MODULES, MODULES), max_size=8))
@example(before={("measured", "foo")}, steps=[("load", ("ignored", "foo"), None), ("load", ("measured", "foo"), None)])
@example(
    before={("measured", "foo")}, steps=[("call", ("measured", "foo"), None), ("execute", ("ignored", "foo"), None)]
)
@example(before={("measured", "foo")}, steps=[("call", ("measured", "foo"), None), ("load", ("ignored", "foo"), None)])
@example(before={("measured", "foo")}, steps=[("call", ("measured", "foo"), ("ignored", "foo"))])
@example(before={("measured", "foo")}, steps=[("throw", ("measured", "foo"), None), ("load", ("ignored", "foo"), None)])
@example(before={("ignored", "foo")}, steps=[("call", ("ignored", "foo"), None), ("load", ("measured", "foo"), None)])
@example(
    before={("measured", "foo"), ("ignored", "foo")},
    steps=[("call", ("ignored", "foo"), None), ("call", ("measured", "foo"), None)],
)
@example(
    before={("measured", "foo"), ("ignored", "foo")},
    steps=[("throw", ("ignored", "foo"), None), ("call", ("measured", "foo"), None)],
)
@example(
    before={("measured", "__init__"), ("ignored", "__init__")},
    steps=[("call", ("measured", "__init__"), ("ignored", "__init__"))],
)
@example(
    before={("measured", "__init__"), ("ignored", "__init__")},
    steps=[("call", ("ignored", "__init__"), ("measured", "__init__"))],
)
def test_the_first_of_a_name_decides_for_all(same_names, before, steps):
    """Files of one name in two folders, one ignored: whichever is entered first, the same counts as trace's come out."""

    def counts_of(kind):
        loaded = {module: load(module) for module in sorted(before)}
        tracer = kind(count=1, trace=0, ignoredirs=[*STDLIB, str(same_names / "ignored")])

        def run():
            for how, module, other in steps:
                if how == "load":
                    loaded[module] = load(module)
                elif how == "execute":
                    file = path_of(module)
                    exec(compile(MODULE, file, "exec"), {"__file__": file})
                elif module in loaded and how == "throw":
                    with contextlib.suppress(ValueError):
                        loaded[module].g().throw(ValueError)
                elif module in loaded and other is not None:
                    loaded[module].f(loaded[other].f if other in loaded else lambda: load(other))
                elif module in loaded:
                    loaded[module].f()

        tracer.runfunc(run)
        counts = tracer.results().counts
        return {place: n for place, n in counts.items() if place[0].startswith(str(same_names))}

    def path_of(module):
        place, name = module
        return str(same_names / place / f"{name}.py")

    def load(module):
        spec = importlib.util.spec_from_file_location("same_name", path_of(module))
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    assert counts_of(instrument.Trace) == counts_of(trace.Trace)


def test_a_function_of_a_package_may_call_others_first_of_all(tmp_path):
    """Functions of `__init__` modules that were there before: the caller's decides, though it counts later."""
    (tmp_path / "__init__.py").write_text(
        "import json\ndef f(n):\n    t = json.dumps(n)\n    return t if n else None\n"
    )
    spec = importlib.util.spec_from_file_location("a_package", tmp_path / "__init__.py")
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    expected = trace.Trace(count=1, trace=0, ignoredirs=STDLIB)
    expected.runfunc(package.f, 5)

    outer, inner = make(), make()
    assert outer.runfunc(lambda: inner.runfunc(package.f, 5)) == "5"
    assert inner.counts == expected.counts
    assert expected.counts.items() <= outer.counts.items()
    assert not is_watched(package.f), "as it was before"


def is_watched(function):
    """Return whether *function* tells when it is entered."""
    return any(type(constant) is itertools.chain for constant in function.__code__.co_consts)


def test_whoever_is_told_early_watches_no_more(same_names):
    """A function may be entered while others are about to be watched, by another thread, say."""
    loaded = importlib.util.spec_from_file_location("same_name", same_names / "measured" / "foo.py")
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)

    def functions():
        yield module.f
        module.f()
        yield module.g

    def run():
        precedence = FirstEntered()
        precedence.watch("foo", functions())
        return precedence.first_file("foo")

    assert make().runfunc(lambda: (lambda: run())()) == str(same_names / "measured" / "foo.py")
    assert not is_watched(module.f)
    assert not is_watched(module.g)


def test_nobody_is_told_twice(same_names):
    """Once who was first is known, functions run as before: where they tell, an interrupt may be lost."""
    loaded = []
    for place in ("measured", "ignored"):
        spec = importlib.util.spec_from_file_location("same_name", same_names / place / "foo.py")
        loaded.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(loaded[-1])
    functions = [module.f for module in loaded] + [module.g for module in loaded]
    outer, inner, later = (make(ignoredirs=[*STDLIB, str(same_names / "ignored")]) for _ in range(3))
    watched = []

    def note():
        watched.append([is_watched(function) for function in functions])

    def run():
        note()
        later.runfunc(note)  # where none of them is called
        note()
        functions[0]()
        note()

    outer.runfunc(lambda: inner.runfunc(run))
    assert watched == [[True] * 4, [True] * 4, [True] * 4, [False] * 4]
    for tracer in (outer, inner):
        assert tracer.counts[str(same_names / "measured" / "foo.py"), 3] == 1
    code = (lambda: (yield)).__code__

    def exchange():
        functions[2].__code__ = code
        functions[1]()
        note()

    later.runfunc(note)
    later.runfunc(exchange)
    assert functions[2].__code__ is code, "the program's own doing stays"
    assert watched[4:] == [[True] * 4, [False] * 4]
    assert not any(file.endswith("foo.py") for file, _ in later.counts)


def test_one_text_is_handed_over_in_two_modules():
    """Whether it counts is decided by the module that it runs in, though it counted in the other one before."""
    counts = []
    for kind in (instrument.Trace, trace.Trace):
        namespace = {
            "__file__": FILE,
            "other": {"__file__": "/surface/other.py"},
            "text": "for n in range(3):\n    n + 1\n",
        }
        for source, ignored in (("exec(text, other)\n", "none"), ("exec(text, other)\nexec(text)\n", "other")):
            tracer = kind(count=1, trace=0, ignoremods=[ignored], ignoredirs=STDLIB)
            tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
            counts.append({key: n for key, n in tracer.results().counts.items() if key[0] in (FILE, "<string>")})
    assert counts[:2] == counts[2:]
    assert counts[1]["<string>", 2] == 3


def test_a_function_is_made_of_the_code_of_another_module():
    """Whether it counts is decided by the module that it runs in, though it counted in the other one before."""
    counts = []
    for kind in (instrument.Trace, trace.Trace):
        namespace = {"__file__": FILE, "other": {"__file__": "/surface/other.py"}}
        sources = "import types\ndef f():\n    return 1\nf()\n", "types.FunctionType(f.__code__, other)()\nf()\n"
        for source, ignored in zip(sources, ("none", "program")):
            tracer = kind(count=1, trace=0, ignoremods=[ignored], ignoredirs=STDLIB)
            tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
            counts.append({key: n for key, n in tracer.results().counts.items() if key[0] == FILE})
    assert counts[:2] == counts[2:]
    assert counts[1] == {(FILE, 3): 1}


def test_whoever_asks_for_results_decides_nothing(same_names):
    """Counts are asked for in another thread, by what a function of a package calls that was entered before."""
    spec = importlib.util.spec_from_file_location("same_name", same_names / "ignored" / "__init__.py")
    ignored = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ignored)
    tracer = make(ignoredirs=[*STDLIB, str(same_names / "ignored")])
    file = str(same_names / "measured" / "__init__.py")
    begun, asked = threading.Event(), threading.Event()

    def run():
        begun.set()
        asked.wait(30)
        exec(compile(MODULE, file, "exec"), {"__file__": file})

    def ask():
        thread = threading.Thread(target=tracer.runfunc, args=(run,))
        thread.start()
        begun.wait(30)
        tracer.results()
        asked.set()
        thread.join()

    ignored.f(ask)
    assert tracer.results().counts[file, 1] == 1
