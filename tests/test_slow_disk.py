"""Processes lose no counts on a slow disk, and say so if they cannot write their counts."""

import shutil
import signal
import subprocess
import sys

import pytest
from processes import files
from recorded import Tree
from test_nothing_lost import WORK

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="the libraries that are preloaded need Linux and a C compiler"
)

# Each fsync creates the file FSYNC_BEGAN, and then takes FSYNC_TAKES microseconds.
SLOW = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
static int slow(int descriptor) {
    close(open(getenv("FSYNC_BEGAN"), O_WRONLY | O_CREAT, 0600));
    usleep(atoi(getenv("FSYNC_TAKES")));
    return 0;
}
int fsync(int descriptor) { return slow(descriptor); }
int fdatasync(int descriptor) { return slow(descriptor); }
"""
#: Shortens the time that a process waits for its flush at exit, which is ten seconds by default.
IMPATIENT = "from instrument.record import background, recorder\nbackground._PATIENCE = 0.3\n"
BEGUN = "def has_begun():\n    while not os.path.exists(os.environ['FSYNC_BEGAN']):\n        time.sleep(0.01)\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The path of the library that makes the disk slow."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.c").write_text(SLOW)
    path = folder / "slow.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(path), str(folder / "slow.c")], check=True)
    return path


#: Makes each lock of a file fail, as on some network file systems.
WITHOUT_LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#define CONTROL(NAME) \
int NAME(int descriptor, int command, ...) { \
    va_list arguments; va_start(arguments, command); void *argument = va_arg(arguments, void *); va_end(arguments); \
    if (command == F_SETLK || command == F_SETLKW) { errno = ENOLCK; return -1; } \
    int (*original)(int, int, ...) = dlsym(RTLD_NEXT, #NAME); \
    return original(descriptor, command, argument); \
}
CONTROL(fcntl)
CONTROL(fcntl64)
"""


@pytest.fixture(scope="module")
def without_locks(tmp_path_factory):
    """The path of the library that makes locks fail."""
    folder = tmp_path_factory.mktemp("locks")
    (folder / "locks.c").write_text(WITHOUT_LOCKS)
    path = folder / "locks.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(path), str(folder / "locks.c"), "-ldl"], check=True)
    return path


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def run(tree, library, text, takes, **more):
    """Run a program that executes *text*, on a disk where each `fsync` *takes* so many seconds."""
    began = str(tree.folder / "began")
    return tree.run(
        WORK + IMPATIENT + BEGUN + text,
        LD_PRELOAD=str(library),
        FSYNC_BEGAN=began,
        FSYNC_TAKES=str(int(takes * 1e6)),
        **more,
    )


ENDS = {
    "_exit": ("os._exit(0)", 0),
    "exit": ("", 0),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)", -signal.SIGTERM),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_last_flush_does_not_synchronise_the_disk(tree, library, end):
    """A process ends without an `fsync`, and its counts are in the data file."""
    text, status = ENDS[end]
    _, errors = run(tree, library, f"work(1000)\n{text}", 40, status=status)

    assert errors == ""
    assert tree.lines()[4] == 1000
    assert not (tree.folder / "began").exists()


@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)", "recorder.current().flush()\n    os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_fork_during_a_flush_loses_and_doubles_no_count(tree, library, is_first, end):
    """A process forks while a flush is in `fsync`. Each call of parent and child is counted once."""
    write = "recorder.current().request_flush()\nhas_begun()\n"
    if not is_first:
        write = f"{write}recorder.current().flush()\nos.unlink(os.environ['FSYNC_BEGAN'])\nwork(10)\n{write}"
    run(
        tree,
        library,
        f"work({100 if is_first else 90})\n{write}work(200)\nif not os.fork():\n    work(300)\n    {end}\nos.wait()\nwork(400)",
        0.8,
    )

    assert tree.lines()[4] == 1000
    assert len(tree.files()) == 2


def test_lost_counts_are_reported_if_the_interpreter_ends_a_thread_that_flushes(tree, library):
    """The program has removed the exit handler, so the process ends during a flush, and says what is lost."""
    _, errors = run(
        tree,
        library,
        "import atexit\nfrom instrument.hooks import process_end\nprocess_end.SOON = 60\nwork(600)\natexit._clear()\n"
        "recorder.current().request_flush()\nhas_begun()\nwork(400)",
        0.7,
    )

    assert errors.count("\n") == 1
    assert "since their last write are lost: Python has ended the thread that was writing them" in errors
    assert tree.lines()[4] == 600


@pytest.mark.parametrize(("end", "flush"), [*((end, 0) for end in ENDS), ("_exit", 0.01)])
def test_the_last_flush_waits_for_a_flush_that_has_begun(tree, library, end, flush):
    """A process that ends during a flush loses no count."""
    text, status = ENDS[end]
    _, errors = run(
        tree,
        library,
        f"work(600)\n{'' if flush else 'recorder.current().request_flush()'}\nhas_begun()\nwork(400)\n{text}",
        0.7,
        flush=flush,
        status=status,
    )

    assert errors == ""
    assert tree.lines()[4] == 1000
    assert [name for name in files(tree.data) if not name.endswith(".sqlite")] == []


def test_a_kill_during_an_fsync_loses_no_flushed_count(tree, library):
    """A reader finds the counts of a flush before they are on the disk."""
    run(
        tree,
        library,
        "work(600)\nrecorder.current().request_flush()\nhas_begun()\nos.kill(os.getpid(), signal.SIGKILL)",
        40,
        status=-signal.SIGKILL,
    )

    assert tree.lines()[4] == 600
    assert [name for name in files(tree.data) if not name.endswith(".sqlite")] == []


def test_processes_flush_again_after_a_fork_during_an_fsync(tree, library):
    """The fork ends its wait, each call of parent and child is counted once, and the background thread is alive."""
    run(
        tree,
        library,
        "work(600)\nrecorder.current().request_flush()\nhas_begun()\npid = os.fork()\nwork(200)\nif not pid:\n    os._exit(0)\n"
        "os.waitpid(pid, 0)\ntime.sleep(0.5)\nassert recorder.current()._background._is_alive",
        0.5,
        flush=100,
    )

    assert tree.lines()[4] == 1000


def test_lost_counts_are_reported_if_the_program_blocks_the_flush(tree):
    """A lock of the program blocks the background thread: the process ends all the same, and says what is lost."""
    _, errors = tree.run(
        WORK
        + IMPATIENT
        + "held = threading.Lock()\nheld.acquire()\nmain = threading.get_ident()\n"
        + "def hook(event, arguments):\n    if threading.get_ident() != main and event == 'open': held.acquire()\n"
        + "sys.addaudithook(hook)\nwork(1000)\nos._exit(3)",
        status=3,
    )

    assert errors.count("\n") == 1
    assert errors.startswith("instrument: the counts of process ")
    assert "are lost: writing waits for a lock that the program holds" in errors


def test_file_systems_without_locks_lose_nothing(tree, without_locks):
    """The first write and each later one succeed, and the data is that of one process."""
    _, errors = tree.run(
        WORK + "for _ in range(5):\n    work(100)\n    time.sleep(0.3)\n", flush=0.1, LD_PRELOAD=str(without_locks)
    )

    assert errors == ""
    assert tree.lines()[4] == 500
    assert len(tree.rows("SELECT id FROM process")) == 1
