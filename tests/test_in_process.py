"""A process gets its own counts by snapshot, reset and counting."""

import re
import subprocess
import sys
import textwrap
import threading

import pytest
from recorded import ROOT, Tree

import instrument
from instrument import in_process
from instrument.config.values import ITEMS
from instrument.errors import InstrumentError

INSTALLED = [sys.prefix, sys.base_prefix]
MODULE = """
def f(n):
    for _ in range(n):
        g()

def g():
    return 1
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Yield a module that was imported before any measurement began."""
    name = f"live_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__(name)
    del sys.modules[name]


def test_counting_has_the_counts_of_its_block_at_each_moment(module):
    """The results are exact inside the block and after it. Code that runs outside is not counted."""
    module.f(5)
    with in_process.counting(module.__name__) as results:
        module.f(3)
        assert results.counts == {(module.__file__, 3): 4, (module.__file__, 4): 3, (module.__file__, 7): 3}
        module.f(2)
    module.f(7)

    assert results.counts == {(module.__file__, 3): 7, (module.__file__, 4): 5, (module.__file__, 7): 5}


@pytest.mark.parametrize("scope", ["module", "path", "folder"])
def test_counting_takes_modules_files_and_folders(module, tmp_path, scope):
    """Each of the three selects the same module here."""
    with in_process.counting({"module": module, "path": module.__file__, "folder": tmp_path}[scope]) as results:
        module.g()

    assert results.counts == {(module.__file__, 7): 1}


def test_nested_countings_each_have_their_own_counts(module):
    """Each has a scope of its own, too."""
    with in_process.counting(module) as outer:
        module.g()
        with in_process.counting(module) as inner, in_process.counting("no_such_module") as other:
            module.g()
        module.g()

    assert outer.counts == {(module.__file__, 7): 3}
    assert inner.counts == {(module.__file__, 7): 1}
    assert other.counts == {}


def test_counting_counts_all_threads(module):
    """The module runs in four other threads."""
    with in_process.counting(module) as results:
        threads = [threading.Thread(target=module.f, args=(100,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert results.counts[module.__file__, 7] == 400


def test_counting_and_trace_do_not_disturb_each_other(module):
    """A module that one of them ignores is counted by the other."""
    with in_process.counting(module) as results:
        tracer = instrument.Trace(count=1, trace=0, ignoremods=[module.__name__], ignoredirs=INSTALLED)
        tracer.runctx("import sys; call()", {"__file__": "nowhere.py", "__name__": "x", "call": module.g})
        module.g()
    assert results.counts == {(module.__file__, 7): 2}

    tracer = instrument.Trace(count=1, trace=0, ignoredirs=INSTALLED)
    with in_process.counting("no_such_module"):
        tracer.runfunc(module.g)

    assert tracer.results().counts[module.__file__, 7] == 1


def test_counts_are_kept_if_an_exception_leaves_the_block(module):
    """They are the counts until the exception."""
    with pytest.raises(TypeError), in_process.counting(module) as results:
        module.f("x")

    assert results.counts == {(module.__file__, 3): 1}


def test_wrong_use_raises_InstrumentError_with_advice(module):
    """An invalid scope, a second entry, and a process that is not recorded."""
    with pytest.raises(InstrumentError, match=r"neither the name of a module nor a path: write '\./a b'"):
        in_process.counting("a b")
    again = in_process.counting(module)
    with again, pytest.raises(InstrumentError, match="entered already"), again:
        pass
    code = "import instrument\ntry:\n    instrument.snapshot()\nexcept Exception as error:\n    print(error)\n"
    output = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    ).stdout

    assert "instrument.snapshot() needs a process that is recorded: set INSTRUMENT=1" in output


def test_a_scope_that_matches_nothing_is_named_when_the_process_ends(tmp_path):
    """It is named once. Items that another measurement of the process has matched are not named."""
    (tmp_path / "shop.py").write_text("def sell():\n    return 1\n", encoding="utf-8")
    program = (
        "import os, sys, instrument\nfor scope in (['typo', 'shop'], ['late', 'sys'], ['typo']):\n"
        "    with instrument.counting(*scope): pass\n"
        "import shop\nwith instrument.counting('shop', '1'): shop.sell()\n"
        "open_ = instrument.counting('open')\nopen_.__enter__()\n"
        "if not os.fork(): sys.exit()\nos.wait()\nprint('the end', file=sys.stderr)\n"
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert (finished.returncode, finished.stdout) == (0, "")
    assert finished.stderr.splitlines() == [
        "the end",
        f"instrument: counting: no module or file that was loaded is in the scope 'typo,late,open'; name {ITEMS}",
        "instrument: counting: 'sys' was loaded, but has no code that could be counted",
    ]


@pytest.mark.parametrize(("scope", "better"), [("*.py", "the folder './'"), ("shop.*", "the package 'shop'")])
def test_patterns_raise_InstrumentError_with_an_alternative(scope, better):
    """The message names the folder or the package to use."""
    with pytest.raises(InstrumentError, match=f"is a pattern, and a scope takes no patterns; name {re.escape(better)}"):
        in_process.counting(scope)


def test_a_recorded_process_gets_its_counts_since_the_last_reset(tmp_path):
    """The data file keeps all counts."""
    tree = Tree(tmp_path)
    output, _ = tree.run(
        textwrap.dedent(
            """\
            import instrument
            def f():
                return 1
            f()
            f()
            results = instrument.snapshot()
            print(results.counts[__file__, 3], (__file__, "program", "f") in results.calledfuncs)
            instrument.reset()
            f()
            print(instrument.snapshot().counts[__file__, 3])
            with instrument.counting(__file__) as results:
                f()
            print(results.counts[__file__, 3], instrument.snapshot().counts[__file__, 3])
            """
        ),
        flush=0.01,
    )

    assert output == "2 True\n1\n1 2\n"
    assert tree.lines()[3] == 4


def test_live_code_of_an_earlier_run_counts_in_a_later_run_beside_counting(tmp_path):
    """The code is executed between the runs, too, while a counting is active."""
    file = str(tmp_path / "program.py")
    namespace = {"__file__": file, "__name__": "program"}

    def run(source):
        tracer = instrument.Trace(count=1, trace=0, ignoredirs=INSTALLED)
        tracer.runctx(compile(source, file, "exec"), namespace, namespace)
        return tracer.results().counts

    with instrument.counting("no_such_module"):
        run("def f():\n    x = 1\nkept = f.__code__\ndef again():\n    exec(kept)\n")
        namespace["again"]()
        assert run("\n\n\n\n\n\nagain()\n") == {(file, 7): 1, (file, 5): 1, (file, 2): 1}
