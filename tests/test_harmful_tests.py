"""Tests that harm their process: verdicts are those of a plain run, and counts those of `instrument run`."""

import os
import re

import pytest
from pytest_runs import Project

from instrument.analysis.contexts.work import ContextWork
from instrument.data.query import StoredMeasurement

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the tests fork")

#: Line 2 runs once for each call of `call`, in each test and each process.
SHOP = "def call():\n    return 1\n"

#: Harms that a process survives. Some of them are never undone.
SURVIVED = """\
import asyncio, builtins, gc, importlib, io, multiprocessing, os, resource, runpy, signal, subprocess, sys, threading, time
import unittest.mock, warnings
import pytest, shop
pytest_plugins = ["pytester"]
LATE = []
@pytest.fixture(autouse=True)
def no_late_thread(request):
    if "fork" in request.node.name or "child" in request.node.name or "pools" in request.node.name:
        list(map(threading.Thread.join, LATE))
def test_folder_that_is_gone(tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    shop.call()
    os.chdir(tmp_path)
@pytest.mark.parametrize("name", ["open", "write", "getpid", "replace", "rename", "fsync", "getcwd", "stat", "close", "unlink"])
def test_functions_of_os(monkeypatch, name):
    shop.call()
    with monkeypatch.context() as patch:
        patch.setattr(os, name, None)
        shop.call()
        time.sleep(0.05)
    shop.call()
@pytest.mark.parametrize("name", ["open", "len", "isinstance", "print", "repr", "iter", "getattr", "__import__", "__build_class__"])
def test_builtins(name):
    with unittest.mock.patch.object(builtins, name, None):
        shop.call()
@pytest.mark.parametrize("name", ["time", "monotonic", "perf_counter", "sleep", "time_ns", "monotonic_ns"])
def test_clocks(name):
    with unittest.mock.patch.object(time, name, lambda *_: 0):
        shop.call()
        threading.Event().wait(0.05)
def test_mocked_locks_and_threads():
    with unittest.mock.patch.object(threading, "Thread"), unittest.mock.patch.object(threading, "Lock"):
        shop.call()
def test_full_disk(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError):
            (tmp_path / "file").write_bytes(b"x")
        shop.call()
        time.sleep(0.5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    shop.call()
def test_no_more_files():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        shop.call()
        time.sleep(0.3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "nowhere":
            shop.call()
        raise ImportError(name)
def test_import_hook():
    sys.meta_path.insert(0, Finder())
    try:
        with pytest.raises(ImportError):
            import nowhere.at_all
        time.sleep(0.3)
    finally:
        del sys.meta_path[0]
def test_empty_path():
    sys.path_importer_cache.clear()
    with unittest.mock.patch.object(sys, "path", []), unittest.mock.patch.object(sys, "path_hooks", []):
        shop.call()
@pytest.mark.parametrize("setter", [sys.settrace, sys.setprofile, threading.settrace, threading.setprofile])
def test_own_tracer(setter):
    seen = []
    names = {"seen": seen, "code": shop.call.__code__}
    exec("def tracer(frame, event, argument):\\n return tracer if frame.f_code is code and not seen.append(event) else None", names)
    tracer = names["tracer"]
    setter(tracer)
    thread = threading.Thread(target=shop.call)
    thread.start()
    thread.join()
    shop.call()
    setter(None)
    assert seen.count("call") == 1
def test_thread_that_ends_late():
    def late():
        time.sleep(0.4)
        shop.call()
    LATE.append(threading.Thread(target=late))
    LATE[0].start()
    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
    shop.call()
def test_cleared_environment():
    variables = dict(os.environ)
    os.environ.clear()
    shop.call()
    os.environ.update(variables)  # child processes of later tests are counted in each worker
def test_modules_that_are_gone():
    modules = dict(sys.modules)
    sys.modules.clear()
    shop.call()
    time.sleep(0.3)
    sys.modules.update(modules)
def test_collector():
    gc.disable()
    gc.freeze()
    shop.call()
    gc.collect()
def test_recursion():
    limit = sys.getrecursionlimit()
    errors = []
    def run():  # the stack of a thread has no frames of pytest, whose number depends on how it was started
        try:
            never_ending()
        except RecursionError:
            errors.append(1)
    thread = threading.Thread(target=run)
    sys.setrecursionlimit(300)
    try:
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
    assert errors
    shop.call()
def never_ending():
    return never_ending()
@pytest.fixture
def child():
    child = os.fork()
    if not child:
        shop.call()
        os._exit(0)
    yield child
    assert os.waitpid(child, 0)[1] == 0
    shop.call()
def test_fork_in_a_fixture(child):
    shop.call()
def test_killed_child():
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    shop.call()
def test_forked_test():
    child = os.fork()
    if not child:
        with pytest.raises(ZeroDivisionError):
            shop.call() / 0
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
def test_executed_child():
    child = os.fork()
    if not child:
        shop.call()
        os.execv(sys.executable, [sys.executable, "-c", "pass"])
    assert os.waitpid(child, 0)[1] == 0
@pytest.mark.filterwarnings("ignore")
def test_pools():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(work, range(4)) == [1] * 4
def work(n):
    return shop.call()
def test_runs_within(pytester):
    pytester.makepyfile(f"import sys\\nsys.path.insert(0, {os.path.dirname(shop.__file__)!r})\\nimport shop\\ndef test_it():\\n    shop.call()\\n")
    pytester.runpytest_inprocess("-p", "no:xdist").assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)
def test_reload():
    importlib.reload(shop).call()
def test_exec():
    names = {}
    exec(compile(open_text(shop.__file__), shop.__file__, "exec"), names)
    names["call"]()
    runpy.run_path(shop.__file__)["call"]()
    eval("call()", names)
def open_text(path):
    return os.fdopen(os.open(path, os.O_RDONLY)).read()
def test_streams():
    with unittest.mock.patch.object(sys, "stdout", None), unittest.mock.patch.object(sys, "stderr", None):
        shop.call()
def test_warnings_are_errors():
    warnings.simplefilter("error")
    shop.call()
def test_signal_handlers():
    before = signal.signal(signal.SIGTERM, lambda *_: shop.call())
    os.kill(os.getpid(), signal.SIGTERM)
    shop.call()
    signal.signal(signal.SIGTERM, before)
def test_file_for_signals():
    number = os.memfd_create("signals")
    os.set_blocking(number, False)
    assert signal.set_wakeup_fd(number, warn_on_full_buffer=False) == -1
    assert signal.set_wakeup_fd(-1) == number
    shop.call()
def test_interpreter():
    sys.executable = "/nowhere"
    sys.argv[:] = []
    os.umask(0o777)
    shop.call()
def test_open_and_clocks_for_good():
    builtins.open = io.open = time.monotonic = time.time = None
    shop.call()
def test_fails():
    assert shop.call() == 2
@pytest.mark.xfail
def test_fails_as_expected():
    shop.call()
    raise SystemExit
def test_is_skipped():
    shop.call()
    pytest.skip()
@pytest.fixture
def broken():
    yield shop.call()
    raise LookupError
def test_error(broken):
    shop.call()
"""


#: Harms that a process does not survive: the last statement of a test, and the exit status.
ENDS = {
    "_exit": ("os._exit(7)", 7),
    "exec": ("os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(6)'])", 6),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15),
    "SIGKILL": ("time.sleep(1.5); os.kill(os.getpid(), signal.SIGKILL)", -9),
    "exit": ("pytest.exit('over', 5)", 5),
    "interrupt": ("raise KeyboardInterrupt", 2),
}
TEST_ENDS = """\
import os, signal, sys, time
import pytest, shop
def test_before():
    shop.call()
def test_ends():
    shop.call()
    {}
def test_after():
    shop.call()
"""

ORACLE = ("-m", "instrument", "run", "--scope", ".", "--dir", "oracle", "-m", "pytest")
#: At the end of the session, the plugin of Hypothesis reads a file.
COMMON = ("-p", "no:hypothesispytest", "-q", "-rA")


@pytest.fixture(scope="module")
def survived(tmp_path_factory):
    """A project with the tests that harm their process, and the verdicts of a plain run."""
    project = Project(tmp_path_factory.mktemp("harms"), {"shop.py": SHOP, "test_harms.py": SURVIVED})
    return project, verdicts(project.run(*COMMON, "-n", "0", "-p", "no:instrument", status=1))


@pytest.fixture(scope="module")
def expected(survived):
    """The counts of `instrument run`."""
    survived[0].run(*COMMON, "-n", "0", program=ORACLE, status=1, INSTRUMENT_FLUSH="0.1")
    return survived[0].counts("oracle")


def verdicts(output):
    """Return the sorted lines of *output* with the verdict of a test."""
    return sorted(re.findall(r"^(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) .*$", output, re.MULTILINE))


def sums_of_contexts(project, data):
    """Return the sums of the counts of all contexts, and why some of these are not known."""
    with StoredMeasurement([str(project.folder / data)]) as stored:
        work = ContextWork(stored)
        sums = {}
        for each in work.of_contexts(work.names()):
            sums |= {(os.path.basename(each.file[0]), line): n for line, n in each.lines.items() if n}
        return sums, work.reasons


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("options", [(), ("--instrument-contexts",)], ids=["counts", "contexts"])
def test_harms_change_neither_verdicts_nor_counts(survived, expected, options, workers):
    """Each worker imports the modules by itself, so only lines of functions are compared then."""
    project, of_plain = survived
    output = project.run(*COMMON, "-n", workers, "--instrument=.", "--instrument-report=none", *options, status=1,
                         INSTRUMENT_DIR=f"data{workers}", INSTRUMENT_FLUSH="0.1")
    counts = project.counts(f"data{workers}")

    assert verdicts(output) == of_plain
    if workers == "0":
        assert counts == expected
    assert counts["shop.py", 2] == expected["shop.py", 2]
    if options:
        assert sums_of_contexts(project, f"data{workers}") == (dict(counts), [])


@pytest.mark.parametrize("how", ENDS)
def test_a_test_that_ends_its_process_loses_no_counts(tmp_path, how):
    """After SIGKILL the counts since the last flush are missing: the test waits for a flush, which comes each 0.1 s."""
    statement, status = ENDS[how]
    project = Project(tmp_path, {"shop.py": SHOP, "test_ends.py": TEST_ENDS.format(statement)})
    plain = project.run(*COMMON, "-n", "0", "-p", "no:instrument", status=status)
    output = project.run(
        *(*COMMON, "-n", "0", "--instrument=.", "--instrument-contexts", "--instrument-report=none"),
        status=status,
        INSTRUMENT_FLUSH="0.1",
    )

    assert without_time_and_remarks(output) == without_time_and_remarks(plain)
    assert project.counts()["shop.py", 2] == 2
    assert sums_of_contexts(project, ".instrument") == (dict(project.counts()), [])


@pytest.mark.parametrize("how", ["_exit", "SIGTERM"])
def test_a_test_that_ends_its_worker_loses_no_counts(tmp_path, how):
    """The worker is replaced, and the other tests run, as without counting."""
    project = Project(tmp_path, {"shop.py": SHOP, "test_ends.py": TEST_ENDS.format(ENDS[how][0])})
    plain = project.run(*COMMON, "-n", "1", "-p", "no:instrument", status=1)
    output = project.run(*COMMON, "-n", "1", "--instrument=.", "--instrument-contexts", "--instrument-report=none", status=1)

    assert verdicts(output) == verdicts(plain)
    assert project.counts()["shop.py", 2] == 3
    assert sums_of_contexts(project, ".instrument") == (dict(project.counts()), [])


def without_time_and_remarks(output):
    """Return *output* without its times, and without the remark on a run that was interrupted."""
    kept = re.sub(r"^=+ execution counts =+\ninstrument: the run was interrupted.*\n", "", output, flags=re.MULTILINE)
    return re.sub(r"in \d+\.\d+s", "", kept)
