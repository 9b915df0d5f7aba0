"""The module that is entered first decides for all modules of its bare name, as in the standard library."""

import contextlib
import gc
import threading
import trace

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tracers import FILE, STDLIB, load, make_tracer

import instrument

MODULES = st.tuples(st.sampled_from(["measured", "ignored"]), st.sampled_from(["foo", "__init__"]))
HOW = ["load", "execute", "call", "throw"]


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
def test_the_module_that_is_entered_first_decides_for_all_of_its_name(same_names, module_text, before, steps):
    """Two folders have files of the same names, and one is ignored. The counts are those of `trace`, whatever the order."""

    def counts_of(kind):
        gc.collect()  # else the run instruments the functions of earlier examples, too
        loaded = {module: load(path_of(module)) for module in sorted(before)}
        tracer = kind(count=1, trace=0, ignoredirs=[*STDLIB, str(same_names / "ignored")])

        def run():
            for how, module, other in steps:
                if how == "load":
                    loaded[module] = load(path_of(module))
                elif how == "execute":
                    file = path_of(module)
                    exec(compile(module_text, file, "exec"), {"__file__": file})
                elif module in loaded and how == "throw":
                    with contextlib.suppress(ValueError):
                        loaded[module].g().throw(ValueError)
                elif module in loaded and other is not None:
                    loaded[module].f(loaded[other].f if other in loaded else lambda: load(path_of(other)))
                elif module in loaded:
                    loaded[module].f()

        tracer.runfunc(run)
        counts = tracer.results().counts
        return {place: n for place, n in counts.items() if place[0].startswith(str(same_names))}

    def path_of(module):
        place, name = module
        return str(same_names / place / f"{name}.py")

    assert counts_of(instrument.Trace) == counts_of(trace.Trace)


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
