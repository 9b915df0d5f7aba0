"""`instrument erase`, and `instrument run --fresh`: data files are removed, and no other files."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from processes import A, Running, files, write
from recorded import Tree
from reporting import SHOP, run
from reporting import in_own_folder as in_own_folder

ROOT = Path(__file__).parents[2]


def test_a_fresh_run_begins_anew(tmp_path):
    """Data of earlier runs is removed first, with a message."""
    tree = Tree(tmp_path)
    tree.write("def f(): pass\nf()\n")
    command = [sys.executable, "-m", "instrument", "run", "--dir", str(tree.data), "--fresh", str(tree.path)]
    environment = {**tree.environment(), "PYTHONPATH": str(ROOT)}
    for n in range(2):
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == (f"1 data file removed from {tree.data}\n" if n else "")
    assert len(tree.files()) == 1
    assert tree.lines()[2] == 1


def test_erase_removes_data_files_and_nothing_else(capsys):
    """Only files that begin like data files are removed, newer and damaged ones included."""
    path = Path(write(".instrument", "one", {A: {1: 1}}).path)
    run("combine", "--keep")
    damaged = path.read_bytes()[:3000]
    Path(".instrument/damaged.sqlite").write_bytes(damaged)
    Path(".instrument/foreign.sqlite").write_text("precious")
    Path(".instrument/notes.txt").write_text("precious")
    capsys.readouterr()
    assert run("erase") == 0
    assert files(".instrument") == ["foreign.sqlite", "notes.txt"]
    assert "3 data files removed from .instrument" in capsys.readouterr().err


def test_erase_fails_for_a_named_file_that_stays(monkeypatch, capsys):
    """A named file that is no data file, or cannot be read, is named; the exit status is 1."""
    Path("shop.py").write_text(SHOP)
    assert run("erase", "shop.py") == 1
    assert "'shop.py' is left as it is: it is no data file of instrument" in capsys.readouterr().err
    path = write(".instrument", "one", {A: {1: 1}}).path

    def refuse(file, *_arguments):
        raise PermissionError(13, "Permission denied", file)

    with monkeypatch.context() as patch:
        patch.setattr("instrument.commands.erase.is_ours", refuse)
        assert run("erase", "--force") == 1
    name = os.path.relpath(path)
    assert f"{name!r} is left as it is: it cannot be read: Permission denied" in capsys.readouterr().err
    assert files(".instrument") == [os.path.basename(path)]


def test_a_fresh_run_says_how_to_remove_data_of_running_processes(capsys):
    """`run` has no --force: the message names the command that has it, and says that reports include these counts."""
    from instrument.commands.erase import begin_anew

    with Running() as pid:
        write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        begin_anew(".instrument")
    words = "(reports include them; `instrument erase --force` also removes them)"
    assert words in capsys.readouterr().err


def test_a_quiet_fresh_start_says_only_which_data_stays(capsys):
    """A counted run of pytest removes earlier data without a word."""
    from instrument.commands.erase import begin_anew

    write(".instrument", "one", {A: {1: 1}})
    begin_anew(".instrument", is_quiet=True)
    assert (files(".instrument"), capsys.readouterr().err) == ([], "")
    with Running() as pid:
        write(".instrument", "two", {A: {1: 1}}, pid=pid, ended="")
        begin_anew(".instrument", is_quiet=True)
    assert "1 of processes that may still be running are kept" in capsys.readouterr().err


def test_erase_spares_running_processes(capsys):
    """The file of a process that may still write stays, unless --force is given."""
    with Running() as pid:
        writer = write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        write(".instrument", "two", {A: {1: 1}})
        run("erase")
        assert files(".instrument") == [os.path.basename(writer.path)]
        assert "1 of processes that may still be running" in capsys.readouterr().err
        run("erase", "--force")
        assert files(".instrument") == []


def test_erase_spares_the_file_of_a_running_process_that_cannot_be_copied(monkeypatch, capsys):
    """Without space for a copy, the name of the file says which process may still write to it."""
    with Running() as pid:
        writer = write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
        run("erase")
        assert files(".instrument") == [os.path.basename(writer.path)]
        assert "1 of processes that may still be running" in capsys.readouterr().err
    run("erase")
    assert files(".instrument") == []


def test_erase_of_a_folder_that_cannot_be_read_is_an_error(monkeypatch, capsys):
    """This holds for the default folder, too, which may as well not exist."""
    assert run("erase") == 0
    Path(".instrument").mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    for arguments in ((), (".instrument",)):
        capsys.readouterr()
        assert run("erase", *arguments) == 1
        assert "'.instrument' cannot be read: Permission denied" in capsys.readouterr().err


def test_erase_without_data_says_so(capsys):
    """An absent default folder is no error; an absent named folder is one."""
    assert run("erase") == 0
    assert run("erase", "nowhere") == 1
    assert "'nowhere' cannot be read" in capsys.readouterr().err

