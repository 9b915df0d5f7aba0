"""Lists of functions, lists of callers and printed lines: the same as under `trace`, from a cold and from a warm cache."""

import gc
import py_compile
import re
import sys
import trace

import pytest
from tracers import STDLIB

import instrument
from instrument.link import cache
from instrument.session import session as session_module
from instrument.session.unlinked_code import UnlinkedCode

FIRST = """\
import second
class A:
    def method(self, n):
        return [self.nested(x)() for x in range(n)]
    def nested(self, x):
        def inner():
            try:
                raise KeyError(x)
            except KeyError:
                return x
        return inner
    @staticmethod
    def static(): return 1
    class Inner:
        def __private(self): return 2
        both = __private
def numbers():
    yield 1
    yield 2
assert A().method(2) == [0, 1] and A.static() and A.Inner().both()
def class_of_equal_code(name):
    names = {"__file__": __file__}
    exec(compile("def method(self):\\n    return 1", __file__, "exec"), names)
    return type(name, (), {"method": names.pop("method")})
class_of_equal_code("One")().method(), class_of_equal_code("Two")().method()
exec("def f(x):\\n    return x\\nfor n in (1, 2): f(n)", {"__file__": __file__})
exec(compile("class B:\\n    def g(self): return lambda: 3\\nB().g()()", __file__, "exec"), {"__file__": __file__})
never_begun, begun = numbers(), numbers()
next(begun)
for each in never_begun, begun:
    try:
        each.throw(ValueError)
    except ValueError:
        second.called = second.g(1)
"""
#: `trace` takes this module for a class.
SECOND = "__bases__ = ()\ndef g(x):\n    return x\ncalled = g(2)\n"
WAYS = {
    "countfuncs": {"countfuncs": 1},
    "countcallers": {"countcallers": 1},
    "trace": {"ignoredirs": STDLIB},
    "trace-ignoremods": {"ignoredirs": STDLIB, "ignoremods": ["second"]},
}
#: The lines that are printed for the program.
PRINTED = re.compile("( --- modulename: )?(first|second)")


@pytest.fixture
def program(tmp_path, monkeypatch, frozen_heap):
    """Return a folder with the modules `first` and `second`, and their bytecode; the cache is empty."""
    for name, text in ("first", FIRST), ("second", SECOND):
        write(tmp_path / f"{name}.py", text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cache, "_folder", str(tmp_path / "cache"))
    return tmp_path


def write(path, text):
    """Write the module at *path*, and its bytecode."""
    path.write_text(text, encoding="utf-8")
    py_compile.compile(str(path))


def outcome(tool, way, folder, capsys):
    """Return the functions, callers, counts and printed lines of a `Trace` of *tool*, those in the files of *folder*."""
    tracer = tool.Trace(**WAYS[way])
    tracer.run("import first")
    for name in "first", "second":
        del sys.modules[name]
    gc.collect()  # the functions of this run do not exist in the next one
    results = tracer.results()
    return (
        {function for function in results.calledfuncs if function[0].startswith(str(folder))},
        {pair for pair in results.callers if all(function[0].startswith(str(folder)) for function in pair)},
        {place: count for place, count in results.counts.items() if place[0].startswith(str(folder))},
        [line for line in capsys.readouterr().out.splitlines() if PRINTED.match(line)],
    )


def outcome_in_new_process(way, folder, capsys, monkeypatch):
    """Return the `outcome` under `instrument` as a new process would find it, and the names of rewritten code."""
    rewritten = []
    rewrite = UnlinkedCode._rewrite

    def noting_rewrite(self, tree, *arguments):
        rewritten.append(tree[-1].co_name)
        return rewrite(self, tree, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(UnlinkedCode, "_rewrite", noting_rewrite)
        patch.setattr(session_module._sessions, "by_placement", {})
        return outcome(instrument, way, folder, capsys), rewritten


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_cache_has_all_code_of_a_run_that_calls_for_each_event(program, capsys, monkeypatch, way):
    """A second process rewrites nothing, neither of modules nor of exec'd code. Its results equal those of `trace`.

    If an entry is damaged, or a module was edited, that code is rewritten.
    """
    expected = outcome(trace, way, program, capsys)
    cold, rewritten = outcome_in_new_process(way, program, capsys, monkeypatch)
    assert cold == expected
    assert rewritten.count("<module>") >= 3
    warm, rewritten = outcome_in_new_process(way, program, capsys, monkeypatch)
    assert warm == expected
    assert rewritten == []

    for file in (program / "cache").glob("*/*"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    damaged, rewritten = outcome_in_new_process(way, program, capsys, monkeypatch)
    assert damaged == expected
    assert rewritten.count("<module>") >= 3

    write(program / "second.py", f"\n{SECOND}called = g(3)\n")
    expected = outcome(trace, way, program, capsys)
    edited, rewritten = outcome_in_new_process(way, program, capsys, monkeypatch)
    assert edited == expected
    assert ("<module>" in rewritten) == (way != "trace-ignoremods")
