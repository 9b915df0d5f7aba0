"""What `instrument help COMMAND` and `instrument COMMAND --help` say: usage lines and a description, for users."""

from __future__ import annotations

#: By command: how it is called (in place of what argparse makes of the arguments, if given), and what it does.
TEXTS: dict[str, tuple[str | None, str]] = {
    "run": (
        """\
instrument run [OPTIONS] PROGRAM [ARGUMENTS]
       instrument run [OPTIONS] -m MODULE [ARGUMENTS]
       instrument run [OPTIONS] -c CODE [ARGUMENTS]""",
        """\
Run a program and count how often each of its lines runs. The exit status, the
output and the signals are the program's own. The counts of this run are added
to those of earlier runs; `instrument report` shows them, `instrument erase`
removes them.

PROGRAM is a script, a folder or archive with a __main__.py, or the name of a
command that is installed in this environment, such as pytest.

examples:
  instrument run shop.py --port 80
  instrument run -m http.server
  instrument run pytest -q
  instrument run --scope shop,json shop.py
""",
    ),
    "report": (
        None,
        """\
Print a table of what was counted: for each source file the lines that can run,
how many of them never ran, how often lines ran in all, and the hottest line.
Programs that still run are included. Lines are only called missing if the
source file is still the one that ran.

examples:
  instrument report --missing
  instrument report --sort hits --omit 'tests/*'
  instrument report --unused-for 30d
""",
    ),
    "annotate": (
        None,
        """\
Write a listing of each source file with the count of each line beside it, as
the standard library's trace does: shop.py becomes shop.cover, in the same
folder or in that of --directory. Files that have changed since they ran are
left out, and named.

examples:
  instrument annotate --directory counts
  instrument annotate --include 'shop/*'
""",
    ),
    "combine": (
        None,
        """\
Add up the data files of many processes in one file, and remove those of
processes that have ended. This can be done at any time, while programs run,
and any number of times: nothing is counted twice. Files of other machines can
be given too.

examples:
  instrument combine
  instrument combine --keep --output week.sqlite /srv/a/.instrument /srv/b/.instrument
""",
    ),
    "erase": (
        None,
        """\
Remove the data, to begin anew. Data of processes that still run is kept: they
would write it again. With --force it is removed all the same. Only data files
of instrument are removed, whatever else is in the folder.

examples:
  instrument erase
  instrument erase --force old/.instrument
""",
    ),
    "diff": (
        None,
        """\
Print what ran between two moments: the counts of B less those of A. Each is a
data file, such as `instrument snapshot PID --copy FILE` writes, or a folder of
data files.

example:
  instrument snapshot 4711 --copy before.sqlite
  instrument snapshot 4711 --copy after.sqlite
  instrument diff before.sqlite after.sqlite
""",
    ),
    "debug": (
        "instrument debug [OPTIONS] [FILE|MODULE …]\n       instrument debug -- COMMAND [ARGUMENTS]",
        """\
Show the settings and where each of them comes from, and say whether a file, a
module, or what a command would run is counted, and if not, why. The program is
not run. The exit status is 1 if something was not found, or if the command
would not be counted. A command gets its settings from the environment and
pyproject.toml, so say INSTRUMENT_DIR=… before it in place of --dir.

examples:
  instrument debug
  instrument debug shop.py shop.prices
  instrument debug -- python -I shop.py
  instrument debug -- gunicorn shop:application
""",
    ),
    "snapshot": (
        None,
        """\
Have a running process write what it has counted until now, and print the path
of its data file. The process is not interrupted.

examples:
  instrument snapshot 4711
  instrument snapshot 4711 --copy before.sqlite
""",
    ),
    "top": (
        None,
        """\
Show the lines and functions that run most often in the processes that are
being counted now, renewed every few seconds, with how often they run in a
second. Press q or Ctrl-C to quit.

examples:
  instrument top
  instrument top --once -n 20 4711
""",
    ),
    "warm": (
        None,
        """\
Prepare source files for counting, several at a time, so that the first counted
start is as fast as later ones. The result is kept in a cache, a folder that
`instrument debug` names. No program is run. Use the Python that will run the
program, with the same options.

examples:
  instrument warm src/
  instrument warm sympy networkx
""",
    ),
}
