"""Programs in subinterpreters run as in a plain run, and are counted where possible, each in a data file of its own."""

import signal
import subprocess
import sys
import threading

import pytest
from recorded import Tree

from instrument.guest import interpreters
from instrument.guest.rare import thread_states

#: Creates interpreters one after the other, or in two threads at once, and has each run the program in `inner.py`.
OUTER = """
import sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import module
kind, n_threads = sys.argv[1], int(sys.argv[2])
inner = open("inner.py").read()
def run():
    for _ in range(2):
        if sys.version_info >= (3, 13):
            id = interpreters.create(kind)
            failed = interpreters.exec(id, inner)
            if failed:
                print(failed.formatted)
        else:
            id = interpreters.create(isolated=kind == "isolated")
            interpreters.run_string(id, inner)
        interpreters.destroy(id)
threads = [threading.Thread(target=run) for _ in range(n_threads)]
for thread in threads:
    thread.start()
for i in range(20000):
    module.work(1)
for thread in threads:
    thread.join()
print("end")
"""
INNER = """
import json, os, sys
path = [entry for entry in sys.path if "bootstrap" not in entry]
sys.stdout.write(f"{path} {sys.argv}\\n")
sys.stdout.flush()
sys.path.append(os.getcwd())  # before 3.12 the folder of the main program is not among them
import module
for i in range(2000):
    module.work(3)
"""
MODULE = """\
def work(n):
    total = 0
    for i in range(n):
        total += 1
    return total
"""
KINDS = ["isolated", "legacy"]


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    (tmp_path / "module.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "inner.py").write_text(INNER, encoding="utf-8")
    return tree


def run_plain(tree, source, *arguments, **more):
    tree.write(source)
    environment = {name: value for name, value in tree.environment(**more).items() if not name.startswith("INSTRUMENT")}
    done = subprocess.run(
        [sys.executable, tree.path, *arguments],
        cwd=tree.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_interpreters_are_counted_beside_the_main_one(tree, kind, n_threads):
    """Each has a data file. No count is lost or doubled while several run at once and are read meanwhile."""
    plain = run_plain(tree, OUTER, kind, str(n_threads))

    output, errors = tree.run(OUTER, kind, str(n_threads), flush=0.05)

    assert sorted(output.splitlines()) == sorted(plain[0].splitlines())
    is_counted = sys.version_info[:2] != (3, 12) or kind == "legacy"
    n = 2 * n_threads if is_counted else 0
    assert len(tree.files()) == 1 + n
    assert tree.calls("work") == 20000 + n * 2000
    assert tree.lines("module.py")[4] == 20000 + n * 6000
    assert tree.rows("SELECT * FROM not_measured") == []
    if is_counted:
        assert errors == plain[1]
        ids = [one.partition(".")[2] for (one,) in tree.rows("SELECT id FROM process")]
        assert len(set(ids)) == len(ids)
        assert "" in ids
    else:
        assert errors.count("instrument:") == 1  # however many there are
        assert "'module' was not counted in an interpreter with a lock of its own" in errors


def test_an_interpreter_that_cannot_count_says_so_only_for_modules_in_scope(tree):
    """If it has loaded no module of the scope, no message is written."""
    (tree.folder / "inner.py").write_text("import json", encoding="utf-8")

    _, errors = tree.run(OUTER, "isolated", "1")

    assert errors == ""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="there is no such pool")
def test_pool_of_interpreters(tree):
    """Functions that use global variables are sent to the workers by name, and are counted there.

    Others are sent as code, as in a plain run. They are not counted there, and are noted as given out.
    """
    source = """
        import math, module
        from concurrent.futures import InterpreterPoolExecutor
        def work(n):
            return module.work(n) + 1
        if __name__ == "__main__":
            with InterpreterPoolExecutor(2) as pool:
                print(list(pool.map(math.factorial, range(5))))
                print(sum(pool.map(module.work, [10] * 100)))
                print(sum(pool.map(work, [10] * 100)))
    """
    output, errors = tree.run(source, flush=0.05)

    assert (output, errors) == ("[1, 1, 2, 6, 24]\n1000\n1100\n", "")
    assert tree.lines("module.py")[4] == 1000
    assert tree.lines()[5] == 100
    assert tree.rows("SELECT name, taker FROM given_out") == [("work", "another interpreter")]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="there is no such module")
def test_an_interpreter_that_is_never_ended_is_flushed(tree):
    """Its counts are written from time to time, and the process ends as in a plain run."""
    source = """
        import os, time
        from concurrent import interpreters
        one = interpreters.create()
        one.exec("import module; module.work(5)")
        time.sleep(1)
        os._exit(3)
    """
    tree.run(source, flush=0.1, status=3)

    assert tree.lines("module.py")[4] == 5


def test_the_main_interpreter_is_recognised():
    """It is recognised in the main thread and in others."""
    found = []
    thread = threading.Thread(target=lambda: found.append(interpreters.is_main()))
    thread.start()
    thread.join()

    assert (interpreters.is_main(), found, interpreters.number()) == (True, [True], 0)


def test_frames_of_all_threads_are_found_without_sys_current_frames():
    """The thread states lead to the frames of the other threads, and to the frame of the caller."""
    go, ready = threading.Event(), threading.Event()

    def wait_here():
        ready.set()
        go.wait()

    thread = threading.Thread(target=wait_here)
    thread.start()
    ready.wait()
    try:
        frames = thread_states.ThreadStates(interpreters.ctypes_copy()).newest_frames(0)
        names = []
        for frame in frames:
            while frame is not None:
                names.append(frame.f_code.co_name)
                frame = frame.f_back
        here = sys._getframe()
        held = [sys.getrefcount(here)]
        for _ in range(50):
            thread_states.ThreadStates(interpreters.ctypes_copy()).newest_frames(0)
        held.append(sys.getrefcount(here))
        del here, frames, frame
    finally:
        go.set()
        thread.join()

    assert names.count("wait_here") == 1
    assert names.count("test_frames_of_all_threads_are_found_without_sys_current_frames") == 1
    assert held[0] == held[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_of_an_interpreter_is_not_lost(tree, kind):
    """It is in a buffer of a stream of the interpreter. Modules of the package must not keep that stream alive."""
    source = OUTER.replace("inner = open(\"inner.py\").read()", "inner = \"print('in')\"")
    assert source != OUTER

    assert "in\n" in run_plain(tree, source, kind, "1", PYTHONUNBUFFERED="")[0]
    output, errors = tree.run(source, kind, "1", PYTHONUNBUFFERED="")
    assert (output.count("in\n"), errors) == (2, "")


@pytest.mark.parametrize("kind", KINDS)
def test_interpreters_that_are_left_open_end_with_the_process(tree, kind):
    """They end when no other thread can run. The process neither aborts nor says that counts are lost."""
    source = OUTER.replace("        interpreters.destroy(id)\n", "        ids.append(id)\n").replace("def run", "ids = []\ndef run")
    assert source.count("ids") == 2
    (tree.folder / "inner.py").write_text(f"{INNER}print('in')\n", encoding="utf-8")  # which stays in a buffer
    output, errors = run_plain(tree, source, kind, "1", PYTHONUNBUFFERED="")[:2]

    printed, found = tree.run(source, kind, "1", flush=0.05, PYTHONUNBUFFERED="")[:2]

    assert printed == output

    if sys.version_info[:2] == (3, 12) and kind == "isolated":
        assert found.startswith("instrument: 'module' was not counted")
    else:
        assert found == errors
    is_counted = sys.version_info[:2] != (3, 12) or kind == "legacy"
    assert tree.calls("work") == 20000 + (2 * 2000 if is_counted else 0)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="interpreters that are left open write when they end")
@pytest.mark.parametrize("is_busy", [True, False])
def test_interpreter_that_is_left_open_with_a_thread(tree, is_busy):
    """Its counts are written when the process ends. While its thread runs, 3.11 refuses that, and a message says so."""
    inner = f"import _thread, time\n_thread.start_new_thread(time.sleep, ({30 if is_busy else 0},))\ntime.sleep(0.1)\n"
    (tree.folder / "inner.py").write_text(INNER + inner, encoding="utf-8")
    source = OUTER.replace("        interpreters.destroy(id)\n", "        ids.append(id)\n        break\n")
    source = source.replace("def run", "ids = []\ndef run")
    assert source.count("ids") == 2

    # In a plain run, too, the interpreter cannot end then: "Py_EndInterpreter: not the last thread".
    _, errors = tree.run(source, "legacy", "1", status=-signal.SIGABRT if is_busy else 0)

    is_refused = is_busy and sys.version_info < (3, 12)
    if is_refused:
        assert "the latest counts of subinterpreter 1 of process" in errors
        assert "are lost: the program ends while a thread runs in it" in errors
    assert errors.count("instrument:") == is_refused
    assert tree.calls("work") == 20000 + (0 if is_refused else 2000)


def test_the_output_of_a_script_is_written_before_exit_handlers_run(tree):
    """The interpreter flushes its streams when a script ends, before subinterpreters are ended."""
    source = "import atexit, os\natexit.register(os.write, 1, b'exit ')\nprint('script', end=' ')\n"

    assert run_plain(tree, source, PYTHONUNBUFFERED="")[0] == "script exit "
    assert tree.run(source, PYTHONUNBUFFERED="")[0] == "script exit "
