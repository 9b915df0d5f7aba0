"""Modules that are not measured may execute measured code: modules that cannot are recorded, and correctly."""

import os
import py_compile
import subprocess
import sys
import types
import weakref
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

import instrument
from instrument.errors import InstrumentWarning
from instrument.flow import placement
from instrument.link.cache import Cache
from instrument.link.exec_free import ExecFreeModules
from instrument.link.module_import import ModuleImport
from instrument.session.instrumenter import bytecode_if_unmeasured, code_if_unmeasured
from instrument.session.session import session

ROOT = Path(__file__).parents[2]
EXEC_FREE = "def run(text, names):\n    return text\n"
EXECUTES = "def run(text, names):\n    exec(text, names)\n"
COUNTED = """\
import sys
sys.path.insert(0, sys.argv[1])
import ignored
names = {"__file__": "counted.py", "__name__": "counted"}
ignored.run(compile("x = 1\\ny = 2\\n", "counted.py", "exec"), names)
"""
PROGRAM = """\
import gc, sys, instrument.trace
gc.freeze()  # functions that exist are not instrumented
from instrument.decode import exec_calls
from instrument.link import exec_free
searched = []
search = exec_free.may_execute_code
exec_free.may_execute_code = lambda code: searched.append(code.co_filename) or search(code)
opened = []
sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))
tracer = instrument.Trace(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix, sys.argv[1]])
tracer.run(compile(open(sys.argv[2]).read(), "main.py", "exec"))
counts = tracer.results().counts
print(sorted((line, n) for (file, line), n in counts.items() if file == "counted.py"))
print([file.endswith("ignored.py") for file in searched].count(True))
print(len([path for path in opened if path.endswith(".pyc") and "ignored" in path]))
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that gives the ignored module another text and runs the program in a process of its own.

    It returns the counts, how often the module was searched, and how often its bytecode file was read.
    """
    folder = tmp_path / "ignored"
    folder.mkdir()
    main = tmp_path / "main.py"
    main.write_text(COUNTED)

    def run(text=None, cache=tmp_path / "cache", compiled=True):
        path = folder / "ignored.py"
        if text is not None:
            path.write_text(text)
            os.utime(path, (1_000_000_000, 1_000_000_000))
            if compiled:
                py_compile.compile(str(path), doraise=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "INSTRUMENT_CACHE": str(cache)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment.pop("PYTHONPYCACHEPREFIX", None)
        command = [sys.executable, "-c", PROGRAM, str(folder), str(main)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        counts, n_searched, n_read = done.stdout.splitlines()
        return counts, int(n_searched), int(n_read)

    return run


def test_an_exec_free_module_is_searched_once(run):
    """The next process knows it by its bytecode file, and only reads that."""
    assert run(EXEC_FREE) == ("[]", 1, 1)
    assert run() == ("[]", 0, 1)
    assert run(cache="") == ("[]", 1, 1)


def test_a_module_that_executes_code_is_not_even_read(run):
    """Its rewritten code is in the cache, too. The code that it executes is counted in each run."""
    counts = "[(1, 1), (2, 1)]"
    assert run(EXECUTES) == (counts, 1, 1)
    assert run()[0] == counts
    assert run() == (counts, 0, 0)


def test_a_changed_module_is_searched_again(run):
    """Its source has the same size and time, but its bytecode is in another file."""
    padded_text = EXEC_FREE + "#" * (len(EXECUTES) - len(EXEC_FREE))
    assert len(padded_text) == len(EXECUTES)
    for _ in range(2):
        run(padded_text)
        assert run()[:2] == ("[]", 0)
        assert run(EXECUTES)[0] == "[(1, 1), (2, 1)]"
        assert run()[0] == "[(1, 1), (2, 1)]"


def test_a_module_without_a_bytecode_file_is_searched_each_time(run):
    """It has no stamp by which it could be recorded."""
    for text, counts in ((EXEC_FREE, "[]"), (EXECUTES, "[(1, 1), (2, 1)]")):
        assert run(text, compiled=False)[:2] == (counts, 1)
        assert run()[:2] == (counts, 1)


def test_bytecode_that_is_replaced_while_it_is_read_is_searched(tmp_path):
    """The record is about the file that was there before."""
    source = tmp_path / "ignored.py"
    source.write_text(EXEC_FREE)
    path = Path(py_compile.compile(str(source), doraise=True))
    loader = SourceFileLoader("ignored", str(source))
    spec = spec_from_file_location("ignored", source, loader=loader)
    names = {"__name__": "ignored", "__file__": str(source), "__spec__": spec}
    exec_free_code = compile(EXEC_FREE, str(source), "exec")
    for is_replaced in (False, False, True):
        found = ModuleImport(dict(names), lambda: None, loader)
        first = bytecode_if_unmeasured(found, str(source))
        assert first is None
        was_known = found.needs_no_rewrite
        data = memoryview(path.read_bytes())[16:]
        if is_replaced:
            path.write_bytes(path.read_bytes())
        found.note_bytecode(data, str(path), str(source))
        if not found.is_known_to_need_no_rewrite():
            assert bytecode_if_unmeasured(found, str(source)) is None
            assert not found.is_known_to_need_no_rewrite()
            assert code_if_unmeasured(exec_free_code, str(source), found) is exec_free_code
    assert was_known
    assert is_replaced
    assert found.stamp is None


def _module_imports(path, stamp):
    found = ModuleImport({}, lambda: None)
    found.path, found.stamp = path, stamp
    return found


def test_each_process_adds_to_the_record(tmp_path):
    """Modules that another process has added meanwhile stay."""
    caches = [Cache(placement.NOTHING, str(tmp_path)) for _ in range(2)]
    both = [ExecFreeModules(cache) for cache in caches]
    exec_free_code = compile(EXEC_FREE, "quiet.py", "exec")
    for number, one in enumerate(both):
        assert not one.may_execute_code_in(exec_free_code, _module_imports(f"/{number}.py", (b"", number)))
    for one in both:
        one.save_cache()
    third = ExecFreeModules(caches[0])
    assert third.is_exec_free(_module_imports("/0.py", (b"", 0)))
    assert third.is_exec_free(_module_imports("/1.py", (b"", 1)))
    assert not third.is_exec_free(_module_imports("/1.py", (b"", 0)))
    assert not third.is_exec_free(_module_imports("/0.py", None))


def test_the_record_does_not_grow_for_ever(tmp_path, monkeypatch):
    """If it is too long, it begins anew with the modules of this process."""
    monkeypatch.setattr("instrument.link.exec_free._MOST_MODULES", 3)
    exec_free_code = compile(EXEC_FREE, "quiet.py", "exec")
    for number in range(5):
        one = ExecFreeModules(Cache(placement.NOTHING, str(tmp_path)))
        one.may_execute_code_in(exec_free_code, _module_imports(f"/{number}.py", (number,)))
        one.save_cache()
    known = ExecFreeModules(Cache(placement.NOTHING, str(tmp_path)))
    assert [known.is_exec_free(_module_imports(f"/{number}.py", (number,))) for number in range(5)] == [False] * 3 + [True] * 2


@pytest.mark.usefixtures("frozen_heap")
def test_existing_functions_of_ignored_modules_get_their_code_back(tmp_path):
    """They get it when nothing is measured any more, and the measurement does not keep them alive."""
    module = types.ModuleType("ignored")
    module.__file__ = str(tmp_path / "ignored.py")
    exec(compile(EXECUTES, module.__file__, "exec"), vars(module))
    code = module.run.__code__
    seen = []
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=[str(tmp_path)])
    tracer.runfunc(lambda: seen.append(module.run.__code__))

    assert seen != [code]
    assert module.run.__code__ is code

    other = types.FunctionType(code.replace(co_name="other"), vars(module))

    def exchanged():
        other.__code__ = module.run.__code__  # by the program
        return other.__code__

    assert tracer.runfunc(exchanged) is other.__code__

    def measured():
        gone = weakref.ref(module.run)
        del module.run
        return gone

    assert tracer.runfunc(measured)() is None
    assert not session(placement.NOTHING).exchanged_functions


@pytest.mark.slow
def test_functions_of_one_file_are_counted_each_for_itself(tmp_path):
    """Some share their code, have nested functions, or cannot be rewritten."""
    path = tmp_path / "several.py"
    text = "def one(n):\n    for _ in range(n):\n        pass\n\n\ndef two(n):\n    inner = lambda: n\n    return inner()\n"
    path.write_text(text)
    module = types.ModuleType("several")
    module.__file__ = str(path)
    exec(compile(text, str(path), "exec"), vars(module))
    strange = compile("def strange():\n    return 1\n", str(path), "exec").co_consts[0]
    cut_off = strange.replace(co_code=strange.co_code[:-2])
    module.strange = types.FunctionType(cut_off, vars(module))
    module.again = types.FunctionType(module.two.__code__, vars(module))
    tracer = instrument.Trace(count=1, trace=0, ignoremods=["test_handovers"])

    def measured():
        module.one(3)
        module.two(1)
        module.again(2)

    with pytest.warns(InstrumentWarning, match="strange"):
        tracer.runfunc(measured)
    counts = {line: n for (file, line), n in tracer.results().counts.items() if file == str(path)}
    assert counts == {2: 4, 3: 3, 7: 4, 8: 2}
    assert module.strange.__code__ is cut_off
    assert module.two.__code__ is module.again.__code__
    del session(placement.MINIMAL).not_measured[str(path)]
