"""Ends of processes on a disk that is slow, and of processes whose counts cannot be written for another reason."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from recorded import Tree
from test_nothing_lost import WORK

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="no C compiler to slow the disk down with"
)

# Each fsync says that it has begun, and then takes as long as it is told to.
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
#: Makes the waiting short that is otherwise ten seconds.
IMPATIENT = "from instrument.record import background, recorder\nbackground._PATIENCE = 0.3\n"
BEGUN = "def has_begun():\n    while not os.path.exists(os.environ['FSYNC_BEGAN']):\n        time.sleep(0.01)\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the path of the library that makes the disk slow."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.c").write_text(SLOW)
    made = folder / "slow.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(made), str(folder / "slow.c")], check=True)
    return made


#: No file can be locked, as on some network file systems.
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
    """Return the path of the library that lets no file be locked."""
    folder = tmp_path_factory.mktemp("locks")
    (folder / "locks.c").write_text(WITHOUT_LOCKS)
    made = folder / "locks.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(made), str(folder / "locks.c"), "-ldl"], check=True)
    return made


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def run(tree, library, text, takes, **more):
    """Run *text* on a disk where each synchronisation *takes* so many seconds."""
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
def test_the_last_write_does_not_wait_for_the_disk(tree, library, end):
    """What a process writes as it ends need not be on the disk to be kept: the end is as quick as ever."""
    text, status = ENDS[end]
    _, errors = run(tree, library, f"work(1000)\n{text}", 40, status=status)

    assert errors == ""
    assert tree.lines()[4] == 1000
    assert not (tree.folder / "began").exists()


@pytest.mark.parametrize("end", ["sys.exit()", "os._exit(0)", "recorder.current().flush()\n    os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("is_first", [True, False])
def test_fork_during_a_write(tree, library, is_first, end):
    """A fork comes to pass while the disk takes its time. Parent and child lose nothing, and count nothing twice."""
    write = "recorder.current().ask()\nhas_begun()\n"
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


def test_a_write_that_the_interpreter_ends_is_said(tree, library):
    """If a process ends before our exit handler is back, a thread that is writing then never goes on."""
    _, errors = run(
        tree,
        library,
        "import atexit\nfrom instrument.hooks import process_end\nprocess_end.SOON = 60\nwork(600)\natexit._clear()\n"
        "recorder.current().ask()\nhas_begun()\nwork(400)",
        0.7,
    )

    assert errors.count("\n") == 1
    assert "since their last write are lost: the interpreter has ended the thread that was writing them" in errors
    assert tree.lines()[4] == 600


@pytest.mark.parametrize(("end", "flush"), [*((end, 0) for end in ENDS), ("_exit", 0.01)])
def test_a_write_under_way_is_awaited(tree, library, end, flush):
    """However long the disk takes for a write before, the last one comes after it, and nothing is lost."""
    text, status = ENDS[end]
    _, errors = run(
        tree,
        library,
        f"work(600)\n{'' if flush else 'recorder.current().ask()'}\nhas_begun()\nwork(400)\n{text}",
        0.7,
        flush=flush,
        status=status,
    )

    assert errors == ""
    assert tree.lines()[4] == 1000
    assert [name for name in os.listdir(tree.data) if not name.endswith(".sqlite")] == []


def test_killed_while_the_disk_is_slow(tree, library):
    """A write is there for readers before it is on the disk: a kill meanwhile loses nothing of it."""
    run(
        tree,
        library,
        "work(600)\nrecorder.current().ask()\nhas_begun()\nos.kill(os.getpid(), signal.SIGKILL)",
        40,
        status=-signal.SIGKILL,
    )

    assert tree.lines()[4] == 600
    assert [name for name in os.listdir(tree.data) if not name.endswith(".sqlite")] == []


def test_a_fork_while_the_disk_is_slow(tree, library):
    """A fork does not wait for ever, and parent and child count everything once, and write on."""
    run(
        tree,
        library,
        "work(600)\nrecorder.current().ask()\nhas_begun()\npid = os.fork()\nwork(200)\nif not pid:\n    os._exit(0)\n"
        "os.waitpid(pid, 0)\ntime.sleep(0.5)\nassert recorder.current()._background._is_alive",
        0.5,
        flush=100,
    )

    assert tree.lines()[4] == 1000


def test_giving_up_is_said(tree):
    """If code of the program holds up what writes, the end does not wait for it, and says what is lost."""
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
    assert "are lost: what writes them waits for something that the program holds" in errors


def test_file_systems_without_locks_lose_nothing(tree, without_locks):
    """The first write and each later one succeed, and the data is that of one process."""
    _, errors = tree.run(
        WORK + "for _ in range(5):\n    work(100)\n    time.sleep(0.3)\n", flush=0.1, LD_PRELOAD=str(without_locks)
    )

    assert errors == ""
    assert tree.lines()[4] == 500
    assert len(tree.rows("SELECT id FROM process")) == 1
