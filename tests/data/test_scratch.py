"""Scratch: folders for copies are private, and are removed with their processes."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from processes import A, Running, files, write

from instrument.data.scratch import Scratch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks and signals are those of POSIX")
ROOT = Path(__file__).parents[2]

HOLDS = """
import sys, time
from instrument.data.scratch import Scratch
with Scratch() as folder:
    try:
        print(folder, flush=True)
        for _ in range(600):  # a signal may come just before the process sleeps, and is handled when it wakes up
            time.sleep(0.1)
    finally:
        print("left", flush=True)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def held(**more):
    """Start a process that is within a Scratch; return the process and the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    started = subprocess.Popen([sys.executable, "-c", HOLDS], env=environment, stdout=subprocess.PIPE, text=True)
    return started, Path(started.stdout.readline().strip())


def grow_old(folder):
    """Set the time of *folder* to an hour ago."""
    os.utime(folder, (1, 1))


def test_a_folder_is_private_and_is_removed_at_the_end(tmp_path):
    """Only this user can use the folder, and the end of the `with` statement removes it."""
    with Scratch() as folder:
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        Path(folder, "copy.sqlite").write_text("x")
    assert files(tmp_path) == []


def test_the_folder_of_a_killed_process_is_removed(tmp_path):
    """The folder of a living process stays, however old, and so do folders with similar names."""
    killed, left = held()
    (left / "copy.sqlite").write_text("x")
    killed.kill()
    killed.communicate()
    alive, used = held()
    for name in ("instrument-ci.abcdef", "instrument-ABCDEFGH", "instrument-12345678.txt"):
        (tmp_path / name).mkdir()
    (tmp_path / "instrument-abcdefgh").write_text("x")
    (tmp_path / "instrument-abcdefg1").symlink_to(ROOT)
    young = tempfile.mkdtemp(prefix="instrument-")
    for path in tmp_path.iterdir():
        if path != Path(young) and not path.is_symlink():
            grow_old(path)
    before = set(files(tmp_path))
    with Scratch():
        pass
    try:
        assert before - set(files(tmp_path)) == {left.name}
        assert used.is_dir()
    finally:
        alive.kill()
        alive.communicate()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make others' folders")
def test_a_folder_of_another_user_stays(tmp_path):
    """As root, no folder is removed that another user may have made for that purpose."""
    other = tempfile.mkdtemp(prefix="instrument-")
    os.chown(other, 65533, -1)
    grow_old(other)
    with Scratch():
        pass
    assert os.path.isdir(other)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(tmp_path, number):
    """The process leaves all `with` statements, and then ends by the signal; a second signal changes nothing."""
    process, folder = held()
    process.send_signal(number)
    output, _ = process.communicate(timeout=50)
    assert (process.returncode, output) == (-number, "left\n")
    assert not folder.exists()


def test_an_ignored_signal_stays_ignored(tmp_path):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Scratch():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_can_have_a_folder(tmp_path):
    """Outside of the main thread no signal handler can be set, and the folder works without it."""
    found = []

    def use():
        with Scratch() as folder:
            found.append(os.path.isdir(folder))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert (found, files(tmp_path)) == ([True], [])


@pytest.mark.parametrize("command", ["report", "combine"])
def test_a_command_that_is_terminated_leaves_nothing(tmp_path, command):
    """SIGTERM removes the copies, and the temporary file of the output."""
    (tmp_path / "temporary").mkdir()
    with Running() as pid:
        for n in range(30):
            write(tmp_path / "data", f"p{n}", {A: {1: n}}, pid=pid)
    before = files(tmp_path / "data")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
    slow = (
        "import time\nfrom instrument.data import merge\nadd = merge.Merge.add\n"
        "def slowly(*arguments):\n    print(flush=True)\n    time.sleep(0.5)\n    return add(*arguments)\n"
        "merge.Merge.add = slowly\nfrom instrument import cli\ncli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow, command, str(tmp_path / "data")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=50)
    assert process.returncode == -signal.SIGTERM
    assert files(tmp_path / "temporary") == []
    assert files(tmp_path / "data") == before
