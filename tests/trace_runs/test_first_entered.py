"""Functions of modules whose names are shared notify of the first entry, and run as before after that."""

import importlib.util
import itertools
import sys
import trace

from tracers import STDLIB, load, make_tracer

from instrument.trace_runs.first_entered import FirstEntered


def notifies(function):
    """Return whether *function* notifies when it is entered."""
    return any(type(constant) is itertools.chain for constant in function.__code__.co_consts)


def test_a_package_decides_though_its_probe_fires_after_those_of_functions_that_it_calls(tmp_path, monkeypatch):
    """The function of an `__init__` module calls another `__init__` module before its first probe."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "json"]:
        monkeypatch.delitem(sys.modules, name)  # its functions are frozen, so that no run would instrument them
    (tmp_path / "__init__.py").write_text(
        "import json\ndef f(n):\n    t = json.dumps(n)\n    return t if n else None\n"
    )
    spec = importlib.util.spec_from_file_location("a_package", tmp_path / "__init__.py")
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    expected = trace.Trace(count=1, trace=0, ignoredirs=STDLIB)
    expected.runfunc(package.f, 5)

    outer, inner = make_tracer(), make_tracer()
    assert outer.runfunc(lambda: inner.runfunc(package.f, 5)) == "5"
    assert inner.counts == expected.counts
    assert expected.counts.items() <= outer.counts.items()
    assert not notifies(package.f), "as it was before"


def test_functions_do_not_notify_if_one_is_entered_while_they_are_exchanged(same_names):
    """Another thread, for example, may enter a function meanwhile."""
    module = load(same_names / "measured" / "foo.py")

    def functions():
        yield module.f
        module.f()
        yield module.g

    def run():
        first_entered = FirstEntered()
        first_entered.observe("foo", functions())
        return first_entered.first_file("foo")

    assert make_tracer().runfunc(lambda: (lambda: run())()) == str(same_names / "measured" / "foo.py")
    assert not notifies(module.f)
    assert not notifies(module.g)


def test_functions_run_as_before_once_the_first_is_known(same_names):
    """An interrupt during a notice may be lost, so no function notifies without need."""
    loaded = [load(same_names / folder / "foo.py") for folder in ("measured", "ignored")]
    functions = [module.f for module in loaded] + [module.g for module in loaded]
    outer, inner, later = (make_tracer(ignoredirs=[*STDLIB, str(same_names / "ignored")]) for _ in range(3))
    notifying = []

    def note():
        notifying.append([notifies(function) for function in functions])

    def run():
        note()
        later.runfunc(note)  # where none of them is called
        note()
        functions[0]()
        note()

    outer.runfunc(lambda: inner.runfunc(run))
    assert notifying == [[True] * 4, [True] * 4, [True] * 4, [False] * 4]
    for tracer in (outer, inner):
        assert tracer.counts[str(same_names / "measured" / "foo.py"), 3] == 1
    code = (lambda: (yield)).__code__

    def exchange():
        functions[2].__code__ = code
        functions[1]()
        note()

    later.runfunc(note)
    later.runfunc(exchange)
    assert functions[2].__code__ is code, "the program exchanged this code itself"
    assert notifying[4:] == [[True] * 4, [False] * 4]
    assert not any(file.endswith("foo.py") for file, _ in later.counts)
