"""Tests of `instrument snapshot` and `instrument top`, which request flushes of running processes."""

import argparse
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from processes import A, Running, write
from recorded import Tree

from instrument.commands import report, snapshot, top
from instrument.data import running_processes
from instrument.errors import DataError, InstrumentError
from instrument.report.text import shortened

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
    """Yield a process that calls `hot` until it ends, and writes only at a flush request."""
    process = tree.start(BUSY, flush=request.param)
    process.stdout.readline()
    yield process
    (tree.folder / "stop").touch()
    process.communicate(timeout=30)
    assert process.returncode == 0


def run(command, tree, *arguments):
    """Run the module *command* on the data of *tree*; return its status."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.execute(parser.parse_args([*map(str, arguments), "--dir", str(tree.data)]))


def hot_calls(path):
    """Return how often `hot` was called, according to the data file at *path*."""
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT count FROM function WHERE name = 'hot'").fetchone()
        return row[0] if row else 0  # the process has just begun
    finally:
        connection.close()


def test_a_snapshot_writes_the_counts_so_far(tree, busy, capsys):
    """A second snapshot has more counts, and a copy has those of its moment."""
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


@pytest.mark.parametrize("content", ["precious = 1\n", ""])
def test_a_copy_replaces_only_data_files_and_empty_files(content, tmp_path):
    """A source of the user with the name of the copy stays as it is."""
    data_file = write(tmp_path / "data", "one", {A: {1: 1}}).path
    target = tmp_path / "shop.py"
    target.write_text(content)
    if content:
        with pytest.raises(DataError, match=r"shop\.py' exists and is left as it is: it is no data file .* --copy"):
            snapshot.copy(data_file, str(target))
        assert target.read_text() == content
        with pytest.raises(DataError, match="exists"):  # the target is checked before the process
            run(snapshot, Tree(tmp_path), 1, "--copy", target)
        with pytest.raises(DataError, match="exists"):
            snapshot.copy(data_file, str(tmp_path))
    else:
        for _ in range(2):  # a data file is replaced
            snapshot.copy(data_file, str(target))
            assert target.read_bytes().startswith(b"SQLite format 3")


def test_missing_and_silent_processes_are_named(tree, busy):
    """A missing process, and one that does not answer, give an error; no request is left behind."""
    with pytest.raises(InstrumentError, match="there is no process 99999999"):
        run(snapshot, tree, 99999999)
    os.kill(busy.pid, signal.SIGSTOP)
    try:
        with pytest.raises(InstrumentError, match=rf"process {busy.pid} (does not answer|is still writing) after 0.1 s: is it measured"):
            run(snapshot, tree, busy.pid, "--timeout", "0.1")
    finally:
        os.kill(busy.pid, signal.SIGCONT)

    assert not [name for name in (os.listdir(tree.data) if tree.data.exists() else ()) if ".flush" in name]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the environment of processes")
def test_processes_that_are_not_measured_are_refused_at_once(tree, busy, tmp_path, monkeypatch):
    """A process with another data folder is named with it; a young process gets a moment to answer."""
    began = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment)
    try:
        with pytest.raises(InstrumentError, match=rf"process {other.pid} does not answer after 0.5 s"):
            run(snapshot, tree, other.pid, "--timeout", "0.5")
        assert running_processes.RunningProcess(other.pid).age() < 60
        monkeypatch.setattr(running_processes.RunningProcess, "age", lambda process: 100.0)
        began = time.monotonic()
        with pytest.raises(InstrumentError, match=rf"process {other.pid} is not measured: it was started without INST"):
            run(snapshot, tree, other.pid)
        parser = argparse.ArgumentParser()
        snapshot.add_arguments(parser)
        with pytest.raises(InstrumentError, match=rf"started to write to '{tree.data}'; name that with --dir"):
            snapshot.execute(parser.parse_args([str(busy.pid), "--dir", str(tmp_path / "elsewhere")]))
        assert time.monotonic() - began < 2
    finally:
        other.communicate(b"\n")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the start of processes")
def test_data_of_an_earlier_process_with_the_same_number_does_not_count(tree, monkeypatch):
    """The system reuses process numbers, so old data may be that of another process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environment)
    try:
        writer = write(tree.data, "earlier", {A: {1: 1}}, pid=other.pid, ended="")
        connection = sqlite3.connect(writer.path)
        with connection:
            connection.execute("UPDATE process SET ticks = 1")
        connection.close()
        monkeypatch.setattr(running_processes.RunningProcess, "age", lambda process: 100.0)
        with pytest.raises(InstrumentError, match="is not measured"):
            run(snapshot, tree, other.pid)
    finally:
        other.communicate(b"\n")


def test_the_first_flush_follows_after_a_second(tree):
    """That holds for any time between other flushes."""
    process = tree.start(BUSY, flush=1000)
    try:
        process.stdout.readline()
        end = time.monotonic() + 20
        while not tree.files() and time.monotonic() < end:
            time.sleep(0.05)
        assert tree.calls("hot") > 0
    finally:
        (tree.folder / "stop").touch()
        process.communicate(timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the environment of processes")
def test_a_process_without_data_is_named_in_the_error(tree):
    """If there is no data yet, the message says that the process runs, and when it writes."""
    process = tree.start(BUSY, flush=0)
    try:
        process.stdout.readline()
        with pytest.raises(
            DataError, match=rf"process {process.pid} \('python.*program.py'\) is running, and writes onl"
        ):
            run_report(tree)
    finally:
        (tree.folder / "stop").touch()
        process.communicate(timeout=30)
    every = re.escape("writes 1 s after the first of its code that is measured was loaded, then every 10 s")
    slow = "import time\nprint(flush=True)\ntime.sleep(60)\n"
    process = tree.start(slow, flush=10)
    try:
        process.stdout.readline()
        for file in tree.files():
            file.unlink()
        with pytest.raises(DataError, match=rf"no data in .* yet.*process {process.pid}.*{every}"):
            run_report(tree)
    finally:
        process.kill()
        process.communicate(timeout=30)


def run_report(tree):
    """Report the data of *tree*."""
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.execute(parser.parse_args([str(tree.data)]))


def test_a_process_that_cannot_write_gives_an_error(tree, busy, tmp_path):
    """Old data is not taken for new data."""
    run(snapshot, tree, busy.pid)
    (file,) = tree.files()
    in_the_way = file.with_name(f".{file.stem}.tmp")
    file.unlink()
    in_the_way.mkdir()
    with pytest.raises(InstrumentError, match=f"process {busy.pid} could not write"):
        run(snapshot, tree, busy.pid)
    in_the_way.rmdir()


def test_top_shows_rates_and_sums(tree, busy, capsys):
    """A table shows the lines and functions that ran between two moments, the hottest first."""
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


def test_top_shows_only_rows_with_a_rate(tree, busy, capsys):
    """A number of rows below 1 is refused, and a damaged data file is named."""
    run(snapshot, tree, busy.pid)
    capsys.readouterr()
    run(top, tree, "--once", "--interval", "0.5")
    rows = capsys.readouterr().out.splitlines()
    assert not [row for row in rows if row.split()[:1] == ["0"]]
    with pytest.raises(InstrumentError, match="-n is 0; it must be 1 or more"):
        run(top, tree, "--once", "-n", "0")
    os.kill(busy.pid, signal.SIGSTOP)
    try:
        samples = top.Samples(str(tree.data), [], str(tree.folder))
        samples.n_processes = samples._n_samples = 1
        assert top.table(samples, 10)[3] == f"{'':28}  (the first rates are shown after one interval)"
        samples._n_samples = 2
        assert top.table(samples, 10)[3] == f"{'':28}  (nothing ran in this interval)"
        [path] = tree.files()
        data = top._ProcessData(str(path))
        samples._data = {str(path): data}
        path.write_bytes(path.read_bytes()[:5000])
        data.read(str(tree.folder), 0.0, 1.0)
        assert top.table(samples, 10)[1].startswith(f"Skipping data file {str(path)!r}: it is damaged: it has 5000")
    finally:
        os.kill(busy.pid, signal.SIGCONT)
        for path in tree.files():
            path.unlink()


def test_top_requests_nothing_of_a_process_that_only_reuses_a_number(tree):
    """Such a process would never answer."""
    with Running() as pid:
        writer = write(tree.data, "earlier", {A: {1: 1}}, pid=pid, ended="")
        connection = sqlite3.connect(writer.path)
        with connection:
            connection.execute("UPDATE process SET ticks = 1")
        connection.close()
        began = time.monotonic()
        with pytest.raises(InstrumentError, match="no process writes to"):
            run(top, tree, "--once")
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [("abc", 3, "abc"), ("abcdefghij", 7, "ab…ghij"), ("/a/long/path/to/shop.py", 12, "/a/l…shop.py")],
)
def test_long_texts_are_cut_with_an_ellipsis(text, width, cut):
    """Names lose their middle, rows their end."""
    assert shortened(text, width) == cut
    assert top._cut(text, width) == (text if len(text) <= width else f"{text[: width - 1]}…")


def test_top_without_processes_is_an_error(tree):
    """The message says whether data or processes are missing."""
    with pytest.raises(InstrumentError, match="there is no data in"):
        run(top, tree, "--once")
    tree.run("def f(): pass\nf()\n")
    with pytest.raises(InstrumentError, match="no process writes to"):
        run(top, tree, "--once")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the environment of processes")
def test_top_shows_a_process_that_has_just_begun(tree, busy, capsys):
    """A process without data gets a request, and a message names it."""
    assert run(top, tree, "--once", "--interval", "0.5") == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[0] == f"1 process writing to {tree.data}"
    assert ":2  hot" in output.out
    assert f"process {busy.pid} (" in output.err
    assert not [name for name in os.listdir(tree.data) if ".flush" in name]


@pytest.mark.skipif(sys.platform != "linux", reason="terminals differ")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*forkpty:DeprecationWarning")  # pytest's own threads
def test_top_on_a_terminal_renews_the_table(tree, busy):
    """Pressing q ends it, and restores the terminal."""
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
    assert b"  q quits" in seen
    assert seen.endswith(b"\x1b[?25h\x1b[?1049l")
