"""Runs: how many times a user started a program."""

import json
import time

from reporting import in_own_folder as in_own_folder
from reporting import project as project
from reporting import run, scoped


def test_processes_and_runs_are_told_apart(project, capsys):
    """Child processes belong to the run of their parent; a process that became another program counts once."""
    scoped("one", ["main.py"], "main", started=1e9, pid=5000001, parent=1, ticks=7)
    scoped("child", ["main.py"], "main", started=1e9 + 1, pid=5000002, parent=5000001)
    scoped("grandchild", ["main.py"], "main", started=1e9 + 2, pid=5000003, parent=5000002)
    scoped("exec", ["main.py"], "main", started=1e9 + 3, pid=5000001, parent=1, ticks=7)
    run("report")
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1e9))
    assert capsys.readouterr().out.splitlines()[-1] == f"Counts of 4 processes in 1 run, since {since}"
    scoped("by a shell", ["main.py"], "main", started=1e9 + 4, pid=5000005, parent=5999999, root=5000001)
    scoped("again", ["main.py"], "main", started=1e9 + 9, pid=5000004, parent=1)
    run("report")
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"Counts of 6 processes in 2 runs, since {since}",
        "(counts of all runs are added up; `instrument erase` or `instrument run --fresh` begins anew)",
    ]
    run("report", "--json")
    data = json.loads(capsys.readouterr().out)
    assert (data["processes"], data["runs"], data["began"]) == (6, 2, 1e9)
    # The outermost process of two wrote nothing.
    scoped("first", ["main.py"], "main", started=1e9 + 10, pid=5000006, parent=5999998, root=5000100)
    scoped("second", ["main.py"], "main", started=1e9 + 11, pid=5000007, parent=5999997, root=5000100)
    run("report")
    assert f"Counts of 8 processes in 3 runs, since {since}" in capsys.readouterr().out

