"""The hooks of signals save the counts, and the program finds handlers and functions as in a plain run."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from recorded import Tree

from instrument.guest import process_state
from instrument.hooks import signals

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has other signals")


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_the_program_sees_its_own_handlers_and_defaults(tree):
    """`signal` and `getsignal` return the handlers that the program has set, and defaults in place of this package's."""
    output, _ = tree.run(
        """
        import signal
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            print(signal.getsignal(number) is signal.SIG_DFL, signal.signal(number, signal.SIG_IGN) is signal.SIG_DFL)
            print(signal.signal(number, print) is signal.SIG_IGN, signal.signal(number, signal.SIG_DFL) is print)
        print(signal.set_wakeup_fd(-1), signal.signal.__name__, signal.set_wakeup_fd.__name__)
        """,
        flush=0.05,
    )

    assert output == "True True\n" * 6 + "-1 signal set_wakeup_fd\n"


def test_simulated_signals_have_no_effect_if_the_program_does_not_handle_them(tree):
    """`interrupt_main` calls handlers of the program, and ends no process by a signal at its default."""
    output, _ = tree.run(
        """
        import _thread, signal
        print(_thread.interrupt_main.__name__, _thread.interrupt_main.__module__)
        def simulate(*number):
            _thread.interrupt_main(*number)
            for _ in range(100):
                pass
        for number in (signal.SIGTERM, signal.SIGHUP):
            simulate(number)
        print("alive")
        signal.signal(signal.SIGTERM, lambda number, frame: print("handled", number))
        simulate(signal.SIGTERM)
        try:
            simulate()
        except KeyboardInterrupt:
            print("interrupted")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        simulate()
        print("alive")
        """,
        flush=0.05,
    )

    assert output == "interrupt_main _thread\nalive\nhandled 15\ninterrupted\nalive\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 cannot hide functions")
def test_errors_of_functions_of_signal_have_no_frame_of_this_package(tree):
    """The most common such traceback is that of a server that a thread starts."""
    text = """
        import _thread, signal, threading, traceback
        def fail(function, *arguments):
            try:
                function(*arguments)
            except Exception as error:
                print(error, *((each.filename == __file__, each.name) for each in traceback.extract_tb(error.__traceback__)))
        def fail_all():
            fail(signal.signal, signal.SIGTERM, signal.SIG_DFL)
            fail(signal.set_wakeup_fd, -1)
            fail(signal.getsignal, 9999)
            fail(_thread.interrupt_main, 9999)
        thread = threading.Thread(target=fail_all)
        thread.start()
        thread.join()
        """
    output, _ = tree.run(text, flush=0.05)
    plain = subprocess.run([sys.executable, tree.path], capture_output=True, text=True, timeout=50, check=True)

    assert output == plain.stdout
    assert plain.stdout.count("\n") == 4


def test_a_signal_that_is_ignored_at_the_start_stays_ignored(tree):
    """nohup starts a process that ignores SIGHUP."""
    tree.write("import os, signal\nassert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN\nos.kill(os.getpid(), 1)\n")
    done = subprocess.run(
        [sys.executable, str(tree.path)],
        env=tree.environment(),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.returncode == 0, done.stderr
    assert tree.lines()[3] == 1


IN_A_THREAD = """
thread = threading.Thread(target=__import__, args=("counted",))
thread.start()
thread.join()
print(*handled(), flush=True)
"""
#: By name: source that counts something first, and the output about our handlers in the midst of it.
BEGINNINGS = {
    "in the main thread": ("import counted", ""),
    "in a thread": (f"{IN_A_THREAD}import other", "False False\n"),
    "in a thread, and a fork": (f"{IN_A_THREAD}if os.fork():\n    os.wait()\n    os._exit(0)", "False False\n"),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system says which signals have handlers")
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_handlers_stand_in_only_once_something_is_counted(tree, beginning):
    """Before that, signals end the process by themselves, and there is no background thread."""
    text, output_before = BEGINNINGS[beginning]
    (tree.folder / "counted.py").write_text("def call():\n    return 1\n", encoding="utf-8")
    (tree.folder / "other.py").write_text("count = 1\n", encoding="utf-8")
    time.sleep(0.05)  # see `Tree.write`
    program = f"""
import os, signal, sys, threading
def handled():
    with open("/proc/self/status") as file:
        mask = int(file.read().partition("SigCgt:")[2].split()[0], 16)
    return [bool(mask >> number - 1 & 1) for number in (signal.SIGTERM, signal.SIGHUP)]
print(*handled(), flush=True)
{text}
print(*handled(), flush=True)
sys.modules["counted"].call()
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tree.folder,
        env=tree.environment(),
        capture_output=True,
        text=True,
        timeout=50,
    )

    assert done.stdout == f"False False\n{output_before}True True\n", done.stderr
    assert "SIGTERM" in tree.ends()
    assert tree.lines("counted.py")[2] == 1


def test_a_wakeup_file_of_the_program_gets_the_signals(tree):
    """`set_wakeup_fd` works for the program, although this package uses it."""
    output, _ = tree.run(
        """
        import os, signal
        r, w = os.pipe()
        os.set_blocking(w, False)
        print(signal.set_wakeup_fd(w))
        signal.signal(signal.SIGTERM, lambda *_: None)
        os.kill(os.getpid(), signal.SIGTERM)
        print(os.read(r, 10) == bytes([signal.SIGTERM]), signal.set_wakeup_fd(-1) == w, signal.set_wakeup_fd(-1))
        """,
        flush=0.05,
    )

    assert output == "-1\nTrue True -1\n"


@pytest.mark.parametrize("flush", [0, 0.05])
def test_a_signal_that_comes_as_the_main_thread_goes_to_sleep_ends_the_process(tree, flush):
    """The process ends at once, however the signal falls between two instructions and a system call that blocks."""
    tree.run(
        """
        import os, signal, time
        for _ in range(30):
            r, w = os.pipe()
            pid = os.fork()
            if not pid:
                os.write(w, b"x")
                time.sleep(60)
            os.read(r, 1)
            os.kill(pid, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
            os.close(r)
            os.close(w)
        """,
        flush=flush,
    )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a lock of the system, as it is laid out there")
@pytest.mark.parametrize("flush", [0, 0.05])
def test_a_signal_ends_the_process_although_the_main_thread_never_handles_it(tree, flush):
    """The main thread is in a call in C for ever; the counts are saved."""
    source = """
        import ctypes, os, signal, time
        if not os.fork():
            time.sleep(0.3)
            os.kill(os.getppid(), signal.SIGTERM)
            os._exit(0)
        lock = ctypes.create_string_buffer(128)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(lock)
    """
    tree.run(source, status=-signal.SIGTERM, flush=flush)

    assert sorted(tree.ends()) == ["SIGTERM", "_exit"]
    assert tree.lines()[9] == 2


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_handler_may_set_the_default_so_that_the_second_signal_ends_the_process(tree, name):
    """The first signal, which the handler is handling, does not end it."""
    _, errors = tree.run(
        f"""
        import os, signal, time
        def handle(number, frame):
            assert signal.signal(number, signal.SIG_DFL) is handle
            for _ in range(10):
                time.sleep(0.05)
            os.write(2, b"done")
        signal.signal(signal.{name}, handle)
        os.kill(os.getpid(), signal.{name})
        for _ in range(3):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.{name})
        time.sleep(60)
        """,
        flush=0.05,
        status=-getattr(signal, name),
    )

    assert errors == "done"
    assert tree.lines()[6] == 10
    assert tree.ends() == [name]


def test_setting_a_default_forgets_only_the_signal_that_was_handled(monkeypatch):
    """Other signals in the pipe, or read from it, stay due."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(reading, False)
        os.write(writing, bytes([signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]))
        handlers = {
            signal.SIGTERM: signals._DefaultHandler(),
            signal.SIGHUP: signals._DefaultHandler(is_settled=True),
        }
        monkeypatch.setattr(signals, "_getsignal_original", handlers.get)
        monkeypatch.setattr(process_state, "_states", [])
        state = signals._State()
        monkeypatch.setattr(signals, "_state", state)
        state.pipe = object.__new__(signals._Pipe)
        state.pipe.reading, state.pipe.writing = reading, writing
        state.pipe.inode, state.pipe.file = os.fstat(reading).st_ino, io.FileIO(reading, closefd=False)
        state.unread[:] = [signal.SIGHUP, signal.SIGTERM, 0]
        state.due_since[signal.SIGTERM] = 1.0

        signals._forget_handled(signal.SIGTERM)

        assert list(state.due_since) == [signal.SIGHUP]
        assert state.unread == bytes([signal.SIGHUP, 0, 0])
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a lock of the system, as it is laid out there")
def test_a_signal_that_is_due_during_a_fork_ends_only_the_parent(tree):
    """The child goes on."""
    source = """
        import ctypes, os, signal, threading, time
        def go():
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
            if not os.fork():
                time.sleep(3)
                open("went on", "w").close()
                os._exit(0)
        lock = ctypes.create_string_buffer(128)
        threading.Thread(target=go).start()
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(lock)
    """
    tree.run(source, status=-signal.SIGTERM, flush=0.05)

    assert (tree.folder / "went on").exists()  # `run` has waited until the child closed its output


@pytest.mark.parametrize("flush", [0, 0.05])
def test_a_signal_that_another_thread_receives_ends_the_process(tree, flush):
    """The background thread wakes the main thread, which blocks in a system call, and the counts are saved."""
    source = """
        import signal, threading, time
        def go():
            time.sleep(0.1)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            time.sleep(60)
        threading.Thread(target=go, daemon=True).start()
        time.sleep(60)
    """
    tree.run(source, flush=flush, status=-signal.SIGTERM)

    assert tree.ends() == ["SIGTERM"]
    assert tree.lines()[5] == 1
