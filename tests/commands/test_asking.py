"""`snapshot` and `top`: a running process is asked for its counts, and goes on undisturbed."""

import argparse
import os
import sqlite3
import sys

import pytest
from recorded import Tree

from instrument.commands import snapshot, top
from instrument.errors import InstrumentError

BUSY = """\
import os, sys, time
def hot(n):
    return n + 1
print(flush=True)
while not os.path.exists("stop"):
    for n in range(100):
        hot(n)
    time.sleep(0.001)
"""


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture(params=[0, 100])
def busy(tree, request):
    """Yield a process that calls `hot` until it ends, and writes nothing unless it is asked."""
    process = tree.start(BUSY, flush=request.param)
    process.stdout.readline()
    yield process
    (tree.folder / "stop").touch()
    process.communicate(timeout=30)
    assert process.returncode == 0


def run(room, tree, *arguments):
    """Run the command *room* on the data of *tree*, and return its status."""
    parser = argparse.ArgumentParser()
    room.add_arguments(parser)
    return room.execute(parser.parse_args([*map(str, arguments), "--dir", str(tree.data)]))


def hot_calls(path):
    """Return how often `hot` was called, by the data file at *path*."""
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("SELECT count FROM function WHERE name = 'hot'").fetchone()
        return found[0] if found else 0  # it has just begun
    finally:
        connection.close()


def test_snapshot(tree, busy, capsys):
    """Asking writes what was counted until then, at once; asking again writes more."""
    first = 0
    while not first:
        assert run(snapshot, tree, busy.pid) == 0
        path = capsys.readouterr().out.strip()
        first = hot_calls(path)
    copy = tree.folder / "copy.sqlite"
    assert run(snapshot, tree, busy.pid, "--copy", copy) == 0

    assert capsys.readouterr().out.strip() == str(copy)
    assert 0 < first < hot_calls(copy)
    assert os.listdir(tree.data) == [os.path.basename(path)]


def test_snapshot_of_others(tree, busy):
    """Processes that are not there, or do not answer, are named; nothing is left behind."""
    with pytest.raises(InstrumentError, match="there is no process 99999999"):
        run(snapshot, tree, 99999999)
    with pytest.raises(InstrumentError, match=rf"process {os.getpid()} does not answer after 0.1 s: is it recorded"):
        run(snapshot, tree, os.getpid(), "--timeout", "0.1")

    assert not tree.data.exists()


def test_snapshot_of_a_process_that_cannot_write(tree, busy, tmp_path):
    """A process that could not write says so, and whoever asked does not take old data for new."""
    run(snapshot, tree, busy.pid)
    (file,) = tree.files()
    in_the_way = file.with_name(f".{file.stem}.tmp")
    file.unlink()
    in_the_way.mkdir()
    with pytest.raises(InstrumentError, match=f"process {busy.pid} could not write"):
        run(snapshot, tree, busy.pid)
    in_the_way.rmdir()


def test_top(tree, busy, capsys):
    """One table shows what ran between two moments, the hottest first, with rates and totals."""
    run(snapshot, tree, busy.pid)
    capsys.readouterr()
    assert run(top, tree, "--once", "--interval", "0.5") == 0
    rows = capsys.readouterr().out.splitlines()

    assert rows[0] == f"1 process writing to {tree.data}"
    functions = rows[3 : rows.index("", 2)]
    assert functions[0].endswith(":2  hot")
    rate, total, _ = functions[0].split(maxsplit=2)
    assert 0 < int(rate.replace(",", ""))
    assert 0 < int(total.replace(",", ""))
    lines = rows[rows.index("", 2) + 2 :]
    assert {row.split(maxsplit=3)[3] for row in lines[:3]} == {"return n + 1", "for n in range(100):", "hot(n)"}
    rates = [int(row.split()[0].replace(",", "")) for row in lines]
    assert rates == sorted(rates, reverse=True)


def test_top_without_processes(tree):
    """Where nobody writes there is nothing to show, which is said."""
    with pytest.raises(InstrumentError, match="there is no data in"):
        run(top, tree, "--once")
    tree.run("def f(): pass\nf()\n")
    with pytest.raises(InstrumentError, match="no process writes to"):
        run(top, tree, "--once")


@pytest.mark.skipif(sys.platform != "linux", reason="terminals differ")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*forkpty:DeprecationWarning")  # pytest's own threads
def test_top_on_a_terminal(tree, busy):
    """On a terminal the table is renewed until q is pressed, and the terminal is left as it was."""
    import pty
    import select

    run(snapshot, tree, busy.pid)
    code = (
        "import argparse, sys\nfrom instrument.commands import top\nparser = argparse.ArgumentParser()\n"
        "top.add_arguments(parser)\nsys.exit(top.execute(parser.parse_args(sys.argv[1:])))"
    )
    pid, terminal = pty.fork()
    if not pid:
        command = [sys.executable, "-c", code, "--dir", str(tree.data), "--interval", "0.2"]
        os.execve(sys.executable, command, {**os.environ, "COLUMNS": "500"})
    seen = b""
    while seen.count(b"\x1b[H") < 3:
        assert select.select([terminal], [], [], 30)[0], seen
        seen += os.read(terminal, 65536)
    os.write(terminal, b"q")
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    _, status = os.waitpid(pid, 0)
    os.close(terminal)

    assert os.waitstatus_to_exitcode(status) == 0
    assert b"return n + 1" in seen
    assert seen.endswith(b"\x1b[?25h\x1b[?1049l")
