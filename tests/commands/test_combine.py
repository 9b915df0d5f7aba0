"""`instrument combine`: one file with the sum of many, complete or absent."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import A, B, Running, counts, files, more, process, write, write_compact
from reporting import in_own_folder as in_own_folder
from reporting import run

from instrument.commands import combine as combine_room
from instrument.commands import snapshot
from instrument.data.writer import Writer
from instrument.errors import DataError

ROOT = Path(__file__).parents[2]


def test_combine_makes_one_file_and_removes_the_others(capsys):
    """The sum is in place, the files of ended processes are removed, and a message says so."""
    for n in range(3):
        write(".instrument", str(n), {A: {1: 10**n}, B: {n: 1}})

    assert run("combine") == 0
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 111}, B: {0: 1, 1: 1, 2: 1}}
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "Combined 3 processes in .instrument/combined.sqlite; 3 files removed\n")


@pytest.mark.parametrize("command", ["combine", "erase", "snapshot"])
def test_compact_files_are_data_files(command, capsys):
    """They are added up, removed, and replaced by a copy, as SQLite files are."""
    write(".instrument", "0", {A: {1: 1}})
    _, path = write_compact(".instrument", "1", {A: {1: 10}})
    if command == "snapshot":
        snapshot.copy(str(path), "copy.sqlite")
        snapshot.copy("copy.sqlite", str(path))
        assert counts("copy.sqlite") == counts(path) == {A: {1: 10}}
        return
    run(command)

    assert files(".instrument") == (["combined.sqlite"] if command == "combine" else [])
    if command == "combine":
        assert counts(".instrument/combined.sqlite") == {A: {1: 11}}
    assert "2 files removed" in (errors := capsys.readouterr().err) or "2 data files removed" in errors


def test_combining_again_adds_new_data():
    """Earlier data stays in the sum, and counts once."""
    write(".instrument", "one", {A: {1: 1}})
    run("combine")
    run("combine")
    write(".instrument", "two", {A: {1: 10}})
    run("combine")

    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 11}}


def test_combine_with_keep_removes_nothing():
    """With --keep nothing is removed, and still nothing counts twice."""
    write(".instrument", "one", {A: {1: 1}})
    for _ in range(2):
        run("combine", "--keep")
        assert len(files(".instrument")) == 2
        assert counts(".instrument/combined.sqlite") == {A: {1: 1}}


def test_combine_leaves_running_processes_alone():
    """Their data is in the sum, and their files stay; after their end the sum has their last state."""
    with Running() as pid:
        writer = write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        write(".instrument", "two", {A: {1: 10}})
        for n in (5, 6):
            run("combine")
            assert files(".instrument") == ["combined.sqlite", os.path.basename(writer.path)]
            more(writer, {A: {1: n}}, ended="")
        assert counts(".instrument/combined.sqlite") == {A: {1: 15}}
        more(writer, {A: {1: 7}}, ended="")
    run("combine")  # it was killed, and said no last word
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 17}}


def test_a_process_of_another_machine_has_ended_only_if_its_data_says_so():
    """This machine cannot see whether it runs, so its file stays until then."""
    writer = Writer(".instrument", process("one"))
    writer.process.host = "elsewhere"
    more(writer, {A: {1: 1}}, ended="")

    connection = sqlite3.connect(writer.path)
    with connection:
        connection.execute("UPDATE process SET place = 'another boot pid:[1]'")
    connection.close()
    run("combine")
    assert len(files(".instrument")) == 2
    more(writer, {A: {1: 2}}, ended="exit")
    run("combine")
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 2}}


def test_combine_into_a_file_that_is_named(tmp_path):
    """The data at all paths is added to the counts in that file."""
    one = write("a", "one", {A: {1: 1}})
    write("b", "two", {A: {1: 10}})
    run("combine", one.path, "b", "-o", "new/sum.sqlite")
    assert (files("a"), files("b")) == ([], [])
    write("b", "three", {A: {1: 100}})
    run("combine", "b", "-o", "new/sum.sqlite")
    assert counts("new/sum.sqlite") == {A: {1: 111}}


def test_combine_overwrites_no_other_file():
    """If the output is no data file, it stays unchanged, and nothing is removed."""
    write(".instrument", "one", {A: {1: 1}})
    Path("precious.sqlite").write_text("precious")
    with pytest.raises(DataError, match=r"'precious.sqlite' is there, and is left as it is: it is no data file.*-o"):
        run("combine", "-o", "precious.sqlite")
    assert Path("precious.sqlite").read_text() == "precious"
    assert len(files(".instrument")) == 1
    assert files(".") == [".instrument", "precious.sqlite"]


def test_combine_names_what_it_skips(capsys):
    """A foreign file is named, escaped, and stays; the others are combined."""
    write(".instrument", "one", {A: {1: 1}})
    Path(".instrument/bad\x1b[31m.sqlite").write_text("bad")

    assert run("combine") == 0
    assert "Skipping data file '.instrument/bad\\x1b[31m.sqlite': it is no data file" in capsys.readouterr().err
    assert files(".instrument") == ["bad\x1b[31m.sqlite", "combined.sqlite"]


def test_a_kill_between_rename_and_removal_doubles_nothing(monkeypatch):
    """The sum knows its processes: files that were not removed yet are removed the next time."""
    for n in range(3):
        write(".instrument", str(n), {A: {1: 10**n}})
    with monkeypatch.context() as patch:
        patch.setattr(combine_room, "_remove", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run("combine")
    assert len(files(".instrument")) == 4
    run("combine")
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 111}}


COMBINE = """
import argparse
from instrument.commands import combine
parser = argparse.ArgumentParser()
combine.add_arguments(parser)
combine.execute(parser.parse_args([]))
"""


def test_kills_at_any_moment_lose_and_double_nothing():
    """Combine is killed many times: the remaining files have each process once."""
    total = 0
    for n in range(12):
        for k in range(6):
            write(".instrument", f"{n}x{k}", {A: {1: 1, 2: n}, B: dict.fromkeys(range(1, 300), 1)})
            total += 1
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-c", COMBINE], env=environment, stderr=subprocess.PIPE) as process_:
            time.sleep(0.05 + 0.025 * n)
            process_.send_signal(signal.SIGKILL)
        result, found = {}, [name for name in files(".instrument") if name.endswith(".sqlite")]
        assert found
        assert run("combine", "--keep", "-o", f"check{n}.sqlite") == 0
        result = counts(f"check{n}.sqlite")
        assert result[A][1] == total
        assert result[B] == dict.fromkeys(range(1, 300), total)


def test_one_combine_at_a_time():
    """A second command says so, and changes nothing."""
    write(".instrument", "one", {A: {1: 1}})
    with combine_room._locked(".instrument", "x"), pytest.raises(DataError, match="another process"):
        run("combine")
    assert len(files(".instrument")) == 1
    assert run("combine") == 0


def test_combine_removes_old_temporary_files():
    """Old temporary files are removed; young ones may be in use and stay."""
    write(".instrument", "one", {A: {1: 1}})
    names = [".instrument-0123456789abcdef.tmp", ".instrument-0123456789abcdef.tmp-journal", ".vm-12-abc-0123.tmp"]
    for name in [*names, ".instrument-ff.tmp", "notes.tmp"]:
        Path(".instrument", name).write_text("x")
    for name in names:
        os.utime(f".instrument/{name}", (1, 1))
    run("combine")
    assert files(".instrument") == [".instrument-ff.tmp", "combined.sqlite", "notes.tmp"]


def test_a_read_only_folder_is_named(tmp_path):
    """If the sum cannot be written, nothing is removed."""
    write(".instrument", "one", {A: {1: 1}})
    Path("file").write_text("x")
    with pytest.raises(DataError, match=r"'file/sum.sqlite' cannot be written"):
        run("combine", "-o", "file/sum.sqlite")
    assert len(files(".instrument")) == 1


def test_a_full_disk_leaves_the_old_sum(tmp_path):
    """The files that were added stay until the sum is in place."""
    Path("small").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", "small"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    try:
        write("data", "one", {A: {1: 1}})
        run("combine", "data", "-o", "small/sum.sqlite")
        write("data", "two", {A: dict.fromkeys(range(20_000), 10)})
        try:
            run("combine", "data", "-o", "small/sum.sqlite")
        except DataError:
            pass
        assert counts("small/sum.sqlite") == {A: {1: 1}}
        assert files("small") == ["sum.sqlite"]
        assert len(files("data")) == 1
    finally:
        subprocess.run(["umount", "small"], check=True)

