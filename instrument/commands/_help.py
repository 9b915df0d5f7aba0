"""Has the texts of `instrument help COMMAND`: usage lines, descriptions and examples, for users."""

from __future__ import annotations

#: For each command its usage (None: argparse makes it from the arguments) and its description with examples.
TEXTS: dict[str, tuple[str | None, str]] = {
    "run": (
        """\
instrument run [OPTIONS] PROGRAM [ARGUMENTS]
       instrument run [OPTIONS] -m MODULE [ARGUMENTS]
       instrument run [OPTIONS] -c CODE [ARGUMENTS]""",
        """\
Run a program and count how often each of its lines runs. The exit status, the
output and the signals are the program's own. The counts are added to those of
earlier runs. `instrument report` shows them, `instrument erase` removes them.

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
Print a table with a row for each source file: the lines that can run, how many
of them never ran, how often lines ran in all, and the hottest line. Programs
that still run are included. Lines are called missing only if the source file
has not changed since it ran. The exit status is 2 if a bound is not kept.

examples:
  instrument report --missing
  instrument report --sort hits --top 20 --omit 'tests/*'
  instrument report --branch --fail-under 90
  instrument report --format markdown >> "$GITHUB_STEP_SUMMARY"
  instrument report --unused-for 30d
""",
    ),
    "html": (
        None,
        """\
Write web pages with the counts: an index of all files, and a page for each source
file with the count beside each line. The pages can be opened from the disk. A
folder with other files than those of a report is never overwritten. The command
needs the library Jinja2.

If the data have the counts of each test (`pytest --instrument
--instrument-contexts`), a click on a count lists the tests that ran the line.
--no-contexts leaves these lists out.

examples:
  instrument html
  instrument html -o pages --include 'shop/*' --title Shop
  instrument html --single counts.html
""",
    ),
    "serve": (
        None,
        """\
Show the pages of `instrument html` for processes that run now. The counts, the
rates of the hottest functions and lines, and a plot of rates change each second.
The address is printed. Only this machine reaches it, and only with its token.
The program runs on meanwhile: its processes write when they are asked to. Ctrl-C
ends the command. The command needs the library Jinja2. --open gives the address
to a browser; other users may see it in the list of processes.

examples:
  instrument serve
  instrument serve --open --include 'shop/*'
  instrument serve --port 8000 /srv/shop/.instrument
""",
    ),
    "annotate": (
        None,
        """\
Write a listing of each source file with the count of each line beside it, as
the standard library's trace does. The listing of shop.py is shop.cover, in the
same folder or in the folder of --directory. Files that have changed since they
ran get no listing, and are named.

examples:
  instrument annotate --directory counts
  instrument annotate --include 'shop/*'
""",
    ),
    "lcov": (
        None,
        """\
Write an LCOV tracefile with the counts of lines, functions and branches, for
genhtml, diff-cover, Codecov and editors. Files that have changed since they ran
are left out, and are named. Branches are written if the data have them.

examples:
  instrument lcov
  instrument lcov -o - --include 'shop/*'
  instrument lcov --function-ends && genhtml --branch-coverage lcov.info -o html
""",
    ),
    "xml": (
        None,
        """\
Write Cobertura XML with the counts of lines and the share of branches that were
taken, for GitLab, GitHub, Jenkins, Codecov and pycobertura. Files that have
changed since they ran are left out, and are named.

examples:
  instrument xml
  instrument xml --omit 'tests/*' -o build/coverage.xml
""",
    ),
    "json": (
        None,
        """\
Write all that is known as JSON: lines, functions, and, if the data have them,
branches, decisions and instructions. --schema prints the JSON Schema. Files
that have changed since they ran are included, with the reason.

examples:
  instrument json
  instrument json -o - | jq '.totals'
  instrument json --schema
""",
    ),
    "callgrind": (
        None,
        """\
Write a profile in Callgrind's format, for callgrind_annotate and KCachegrind.
The cost is how often lines ran and, if the data have them, the instructions
they executed. All costs are self costs, since calls are not recorded.

examples:
  instrument callgrind
  instrument callgrind && callgrind_annotate callgrind.out.instrument
""",
    ),
    "coverage": (
        None,
        """\
Write a data file of coverage.py with the lines that ran, and the branches if
the data have them, for `coverage report`, `coverage html` and plugins. The
format has no counts. coverage.py must be installed. `coverage combine` finds
the file, beside the data files of coverage.py itself.

examples:
  instrument coverage && coverage combine
  instrument coverage -o .coverage && coverage report
""",
    ),
    "combine": (
        None,
        """\
Add up the data files of many processes in one file, and remove the files of
processes that have ended. You can do this at any time, while programs run, and
repeatedly: nothing is counted twice. Files of other machines can be given too.

examples:
  instrument combine
  instrument combine --keep --output week.sqlite /srv/a/.instrument /srv/b/.instrument
""",
    ),
    "erase": (
        None,
        """\
Remove the data. The data of processes that still run is kept, because they
would write it again; --force removes it nevertheless. Other files in the folder
stay as they are.

examples:
  instrument erase
  instrument erase --force old/.instrument
""",
    ),
    "tests": (
        None,
        """\
Show which tests run a line or a function, and how often. The test with the highest
count comes first. Counts of a setup or teardown are named beside the test. A
generator is entered each time that it goes on. The data need the counts of each
test: `pytest --instrument --instrument-contexts` saves them. The exit status is 1 if no
test runs the place.

examples:
  instrument tests shop.py:17
  instrument tests Basket.add --top 10
  instrument tests shop.basket.Basket.add
  instrument tests shop/basket.py:Basket.add --json
""",
    ),
    "show": (
        None,
        """\
Show what a test runs: each function with its calls and its executed instructions,
those with the most instructions first. What functions written in C do is not among
the instructions. The data need the counts of each test:
`pytest --instrument --instrument-contexts` saves them.

examples:
  instrument show tests/test_shop.py::test_price
  instrument show test_price --phase setup
  instrument show test_price --lines
""",
    ),
    "affected": (
        None,
        """\
Print the node ids of the tests that changes of the sources affect. The data need
the counts of each test: `pytest --instrument --instrument-contexts` saves them, and
the state of the files. All changes since then count, committed or not. With BASE, all
changes since that commit count, too. New test modules are printed. A test module of
which all tests must run is printed as one node id.

If it is not known which tests are affected, all tests are printed, and standard error
says why. `pytest --instrument-affected` runs just the affected tests.

examples:
  instrument affected --why
  instrument affected origin/main --ignore '*.md,docs'
  instrument affected | xargs -r -d '\\n' pytest
""",
    ),
    "growth": (
        None,
        """\
Show how the work of each function in a test grows with the size of its input:
1, log n, n, n log n, n², n³ or 2^n. Counts are exact, so a law shows from a few
small sizes, and on any machine. Three sizes are the least; with seven or more, a
law is surer. The work of functions written in C is not counted.

The test is parametrised by a number, and was run by `pytest --instrument
--instrument-contexts`. Or it uses the fixture `size`: then --sizes runs it now.
The certainty is sure, likely or unsure: see README, section Growth.

examples:
  pytest --instrument --instrument-contexts tests/test_sort.py
  instrument growth test_sort
  instrument growth tests/test_sort.py::test_sort --sizes 100,300,1000,3000,10000
  instrument growth test_sort --unit calls --top 5
""",
    ),
    "gate": (
        """\
instrument gate [OPTIONS] BASE [HEAD]
       instrument gate [OPTIONS] BASE [HEAD] --stability-runs N -- COMMAND …""",
        """\
Compare two runs, BASE and HEAD: how many instructions they executed in all, in each
test, and in each function. Exact counts repeat, so a small growth is no noise. The
causes of growth are named: the loop that turned more often, the branch that went
the other way, the new line, the function that was called more often. Code that has
only moved is no growth. The exit status is 2 if a bound is passed.

BASE and HEAD are data files or folders, each of one run of all tests. They can also
be revisions of git, such as main, whose data `instrument keep` has kept. Without HEAD,
the data folder is compared. If main is also a path with data, the path is taken, and
main~0 is the revision. Run both with the same version of Python. The work of
functions written in C is not counted. `pytest --instrument --instrument-contexts`
saves the counts of each test.

Some numbers differ from run to run, as those of code with random numbers or threads.
Name further runs by --rerun: lines and tests that differ are left out, and named. With
--stability-runs N the command after -- makes such runs, if a bound is passed. They
end when no bound is passed any more, at the latest after N runs.

examples:
  instrument gate main
  instrument gate v1.2 main --max-growth 1% --max-growth-per-test none
  instrument gate base/.instrument .instrument
  instrument gate base.sqlite head.sqlite --rerun head-2.sqlite
  instrument gate main --stability-runs 5 -- pytest --instrument --instrument-contexts
  instrument gate main --format markdown > comment.md
""",
    ),
    "keep": (
        None,
        """\
Keep the data of the last run as those of the git revision that is checked out. Then
`instrument gate REVISION` compares with them. It must be a run of all tests, and the
only one in the data: `pytest --instrument --instrument-contexts` begins anew.

Kept data are in the folder `revisions` of the data folder, one file for each commit.
Neither `instrument erase` nor the next run removes them. If sources that ran differ
from the commit, the command names them and keeps nothing.

examples:
  pytest --instrument --instrument-contexts && instrument keep
  instrument keep --as v1.2 other/.instrument
  instrument keep --most 20
  instrument keep --list
  instrument keep --erase v1.2
""",
    ),
    "diff": (
        None,
        """\
Print which lines ran between two moments: the counts of B minus those of A.
Each is a data file, such as `instrument snapshot PID --copy FILE` writes, or a
folder of data files.

example:
  instrument snapshot 4711 --copy before.sqlite
  instrument snapshot 4711 --copy after.sqlite
  instrument diff before.sqlite after.sqlite
""",
    ),
    "debug": (
        "instrument debug [OPTIONS] [FILE|MODULE …]\n       instrument debug -- COMMAND [ARGUMENTS]",
        """\
Show the settings and the origin of each. Say whether a file, a module, or the
program of a command is counted, and if not, why; no program is run for it. The
exit status is 1 if something is not found, or if the command would not be
counted. A command takes its settings from the environment and pyproject.toml,
so put INSTRUMENT_DIR=… before it instead of --dir.

With --code, show where the probes in the code of a file are; with --run also
run the file, and show how often control took each edge.

examples:
  instrument debug
  instrument debug shop.py shop.prices
  instrument debug -- python -I shop.py
  instrument debug -- gunicorn shop:application
  instrument debug --code shop.py:price --run
""",
    ),
    "snapshot": (
        None,
        """\
Make a running process write its counts now, and print the path of its data
file. The process is not interrupted.

examples:
  instrument snapshot 4711
  instrument snapshot 4711 --copy before.sqlite
""",
    ),
    "top": (
        None,
        """\
Show the lines and functions that run most often in the processes that are
counted now, and how often they run in a second. The table is renewed every few
seconds. Press q or Ctrl-C to quit.

examples:
  instrument top
  instrument top --once -n 20 4711
  instrument top --json | jq '.functions[0]'
""",
    ),
    "warm": (
        None,
        """\
Prepare source files for counting, several at a time, so that the first counted
start is as fast as later ones. The result is kept in a cache, a folder that
`instrument debug` names. No program is run. Use the Python that will run the
program, with the same options.

An archive takes the code to other machines and folders, for example from one
run of a CI system to the next. It serves equal sources under the same Python
and the same release. Others who can make the file can execute code as you. So
it must be yours, and nobody else may write to it. If INSTRUMENT_ARCHIVE_KEY has
a secret, only archives that were made with it are used.

examples:
  instrument warm src/
  instrument warm sympy networkx
  instrument warm --archive shop.archive src/
  instrument warm --from shop.archive
""",
    ),
}
