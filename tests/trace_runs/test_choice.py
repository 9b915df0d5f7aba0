"""The module that is entered first decides for all modules of its bare name, as in the standard library."""

import threading
import trace

import entry_order_driver
import pytest
from drivers import answers_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tracers import FILE, STDLIB, load, make_tracer

import instrument

MODULES = st.tuples(st.sampled_from(["measured", "ignored"]), st.sampled_from(["foo", "__init__"]))
HOW = ["load", "execute", "call", "throw"]


@pytest.fixture(scope="module")
def counts_of(same_names, module_text):
    """A function that returns the counts of an example (before, steps) under both kinds of Trace."""
    with answers_of(entry_order_driver.__file__, same_names, module_text) as counts_of:
        yield counts_of


@settings(max_examples=max(settings().max_examples * 2 // 3, 1), deadline=None)
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
def test_the_module_that_is_entered_first_decides_for_all_of_its_name(counts_of, before, steps):
    """Two folders have files of the same names, and one is ignored. The counts are those of `trace`, whatever the order."""
    expected, actual = counts_of(before, steps)
    assert actual == expected


def test_one_text_that_two_modules_execute_counts_by_the_module_that_it_runs_in():
    """The text counted in the other module before."""
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


@pytest.mark.slow
def test_a_function_with_the_code_of_another_module_counts_by_the_module_that_it_runs_in():
    """The code counted in the other module before."""
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


@pytest.mark.slow
def test_a_thread_that_asks_for_results_decides_nothing(same_names, module_text):
    """It runs a function that was entered before the measurement began."""
    ignored = load(same_names / "ignored" / "__init__.py")
    tracer = make_tracer(ignoredirs=[*STDLIB, str(same_names / "ignored")])
    file = str(same_names / "measured" / "__init__.py")
    begun, asked = threading.Event(), threading.Event()

    def run():
        begun.set()
        asked.wait(30)
        exec(compile(module_text, file, "exec"), {"__file__": file})

    def read_results():
        thread = threading.Thread(target=tracer.runfunc, args=(run,))
        thread.start()
        begun.wait(30)
        tracer.results()
        asked.set()
        thread.join()

    ignored.f(read_results)
    assert tracer.results().counts[file, 1] == 1
