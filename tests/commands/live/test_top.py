"""Tests of `instrument top`, which shows the hottest lines of running processes."""

import json
import os
import signal
import sqlite3
import sys
import time

import pytest
from busy_program import run_command
from processes import A, Running, write

from instrument.commands import snapshot
from instrument.commands.live import top
from instrument.errors import InstrumentError
from instrument.report.text import shortened


def test_top_shows_rates_and_sums(tree, busy, capsys):
    """A table shows the lines and functions that ran between two moments, the hottest first."""
    run_command(snapshot, tree, busy.pid)
    capsys.readouterr()
    assert run_command(top, tree, "--once", "--interval", "0.5") == 0
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


def test_top_writes_json(tree, busy, capsys):
    """The document has the numbers of the table, and whole paths."""
    run_command(snapshot, tree, busy.pid)
    capsys.readouterr()
    assert run_command(top, tree, "--json", "--interval", "0.5", "-n", "2") == 0
    document = json.loads(capsys.readouterr().out)

    assert {key: document[key] for key in ("format", "directory", "processes", "refused")} == {
        "format": 1,
        "directory": str(tree.data),
        "processes": 1,
        "refused": [],
    }
    [hot] = document["functions"]
    assert (hot["name"], hot["line"]) == ("hot", 2)
    assert os.path.isabs(hot["path"])
    assert hot["total"] >= hot["per_second"] * 0.5 > 0
    assert len(document["lines"]) == 2
    assert all("name" not in line and line["per_second"] > 0 for line in document["lines"])


def test_top_shows_only_rows_with_a_rate(tree, busy, capsys):
    """A number of rows below 1 is refused, and a damaged data file is named."""
    run_command(snapshot, tree, busy.pid)
    capsys.readouterr()
    run_command(top, tree, "--once", "--interval", "0.5")
    rows = capsys.readouterr().out.splitlines()
    assert not [row for row in rows if row.split()[:1] == ["0"]]
    with pytest.raises(InstrumentError, match="-n is 0; it must be 1 or more"):
        run_command(top, tree, "--once", "-n", "0")
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
        with pytest.raises(InstrumentError, match="no running process writes to"):
            run_command(top, tree, "--once")
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
        run_command(top, tree, "--once")
    tree.run("def f(): pass\nf()\n")
    with pytest.raises(InstrumentError, match="no running process writes to"):
        run_command(top, tree, "--once")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the environment of processes")
def test_top_shows_a_process_that_has_just_begun(tree, busy, capsys):
    """A process without data gets a request, and a message names it."""
    assert run_command(top, tree, "--once", "--interval", "0.5") == 0
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

    run_command(snapshot, tree, busy.pid)
    code = (
        "import argparse, sys\nfrom instrument.commands.live import top\nparser = argparse.ArgumentParser()\n"
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
