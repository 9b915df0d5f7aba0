"""Tests of `instrument snapshot`, which requests a flush of a running process."""

import argparse
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from busy_program import BUSY, hot_calls, run_command
from processes import A, files, write
from recorded import Tree

from instrument.commands import report, snapshot
from instrument.data.running import processes as running_processes
from instrument.errors import DataError, InstrumentError


def test_a_snapshot_writes_the_counts_so_far(tree, busy, capsys):
    """A second snapshot has more counts, and a copy has those of its moment."""
    first = 0
    while not first:
        assert run_command(snapshot, tree, busy.pid) == 0
        path = capsys.readouterr().out.strip()
        first = hot_calls(path)
    copy = tree.folder / "copy.sqlite"
    assert run_command(snapshot, tree, busy.pid, "--copy", copy) == 0

    assert capsys.readouterr().out.strip() == str(copy)
    assert 0 < first < hot_calls(copy)
    assert files(tree.data) == [os.path.basename(path)]


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
            run_command(snapshot, Tree(tmp_path), 1, "--copy", target)
        with pytest.raises(DataError, match="exists"):
            snapshot.copy(data_file, str(tmp_path))
    else:
        for _ in range(2):  # a data file is replaced
            snapshot.copy(data_file, str(target))
            assert target.read_bytes().startswith(b"SQLite format 3")


def test_missing_and_silent_processes_are_named(tree, busy):
    """A missing process, and one that does not answer, give an error; no request is left behind."""
    with pytest.raises(InstrumentError, match="there is no process 99999999"):
        run_command(snapshot, tree, 99999999)
    os.kill(busy.pid, signal.SIGSTOP)
    os.waitpid(busy.pid, os.WUNTRACED)  # its thread could take the request until all threads have stopped
    try:
        with pytest.raises(InstrumentError, match=rf"process {busy.pid} does not answer after 0.1 s\. .*name it with --dir"):
            run_command(snapshot, tree, busy.pid, "--timeout", "0.1")
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
            run_command(snapshot, tree, other.pid, "--timeout", "0.5")
        assert running_processes.RunningProcess(other.pid).age() < 60
        monkeypatch.setattr(running_processes.RunningProcess, "age", lambda process: 100.0)
        began = time.monotonic()
        with pytest.raises(InstrumentError, match=rf"process {other.pid} is not measured: it was started without INST"):
            run_command(snapshot, tree, other.pid)
        parser = argparse.ArgumentParser()
        snapshot.add_arguments(parser)
        with pytest.raises(InstrumentError, match=rf"started to write to '{tree.data}'; name that with --dir"):
            snapshot.execute(parser.parse_args([str(busy.pid), "--dir", str(tmp_path / "elsewhere")]))
        assert time.monotonic() - began < 10  # an answer would be awaited for 20 s
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
            run_command(snapshot, tree, other.pid)
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
    run_command(snapshot, tree, busy.pid)
    (file,) = tree.files()
    in_the_way = file.with_name(f".{file.stem}.tmp")
    file.unlink()
    in_the_way.mkdir()
    with pytest.raises(InstrumentError, match=f"process {busy.pid} could not write"):
        run_command(snapshot, tree, busy.pid)
    in_the_way.rmdir()
