"""Run the tests of packages under the plugin of pytest and under its peers.

`verdicts` compares plain and counted runs, also in two workers of xdist: verdicts, output, exit status and counts. It
adds up the counts of all tests, too, and compares them with those of the run. The exit status is 1 if a difference
remains.

`times` compares CPU time and time. The modes are plain, the first counted run, later ones, and those with contexts. The
peers are pytest-cov with both of its cores, slipcover and pyxtrace. Tables of ratios to the plain run come out.

    python benchmarks/suites.py verdicts --env FOLDER                    twelve packages, some twenty minutes
    python benchmarks/suites.py verdicts --env FOLDER --packages pluggy toolz
    python benchmarks/suites.py times --env FOLDER --rounds 7 --json times.json
    python benchmarks/suites.py times --env FOLDER --packages pluggy --modes plain warm "cov ctrace" --rounds 3

The first run of an environment installs the packages in it. Each Python needs a folder of its own.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from overhead import machine
from suites.packages import NAMES, environment, say, suite
from suites.running import Runner
from suites.times import MODES, PLAIN, Timing, table
from suites.verdicts import Comparison

COLUMNS = {"tests": 8, "passed": 8, "lines": 8, "hits": 13, "contexts": 10, "lines that depend on the order": 8,
           "unstable lines": 10, "unstable ends": 10}
#: "order": lines whose counts in tests depend on the order of the tests; "unst.": they differ from run to run.
HEADS = ("tests", "passed", "lines", "hits", "contexts", "order", "unst.lines", "unst.ends")


def verdicts(arguments, made):
    """Compare the runs of each package; print a row for each, and the differences; return their number."""
    found = []
    heads = "".join(f"{head:>{width}}" for head, width in zip(HEADS, COLUMNS.values()))
    print(f"{'package':16}{heads}  differences")
    for name in arguments.packages:
        with tempfile.TemporaryDirectory(prefix="suites-", ignore_cleanup_errors=True) as scratch:
            try:
                comparison = Comparison(Runner(made, suite(made, name), Path(scratch).resolve()))
            except LookupError as error:
                print(f"{name:16}left out: {error}")
                continue
            begin = time.monotonic()
            comparison.make()
        numbers = "".join(f"{comparison.row[key]:>{width},}" for key, width in COLUMNS.items())
        print(f"{name:16}{numbers}  {len(comparison.differences) or 'none'}", flush=True)
        say(f"{name}: {time.monotonic() - begin:.0f} s")
        for text in comparison.differences:
            print(f"    {text}", flush=True)
        found += comparison.differences
        if arguments.json:
            with open(arguments.json, "a", encoding="utf-8") as file:
                record = {"package": name, "row": comparison.row, "differences": comparison.differences}
                file.write(json.dumps(record) + "\n")
    return len(found)


def times(arguments, made):
    """Time the runs of each package; print tables of CPU time and of time; return the number of packages left out."""
    timings, left_out = [], []
    modes = [PLAIN, *(mode for mode in arguments.modes if mode != PLAIN)]
    for name in arguments.packages:
        with tempfile.TemporaryDirectory(prefix="suites-", ignore_cleanup_errors=True) as scratch:
            try:
                timing = Timing(Runner(made, suite(made, name), Path(scratch).resolve()), modes)
            except LookupError as error:
                left_out.append(f"{name} is left out: {error}")
                continue
            timing.measure(arguments.rounds, say)
        timings.append(timing)
        if arguments.json:
            record = {"package": name, "cpu": timing.cpu, "wall": timing.wall, "notes": timing.notes}
            with open(arguments.json, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
    for title, kind in (("CPU time", "cpu"), ("Time", "wall")):
        print(f"\n{title}, medians of {arguments.rounds} rounds (and their range):\n", *table(timings, kind), sep="\n")
    print("\nversions:", ", ".join(f"{name} {version}" for name, version in made.versions().items()))
    print(*(f"*: {each.runner.suite.name}, {mode}: {note}" for each in timings for mode, note in each.notes.items()),
          *left_out, sep="\n")
    return len(left_out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["verdicts", "times"])
    parser.add_argument("--env", required=True, metavar="FOLDER", help="the environment; it is made if it is missing")
    parser.add_argument("--packages", nargs="+", choices=sorted(NAMES), default=sorted(NAMES), metavar="NAME",
                        help=f"some of: {', '.join(sorted(NAMES))}")
    parser.add_argument("--json", metavar="FILE", help="add all to this file, one line for each package")
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES), metavar="MODE",
                        help=f"times: some of {', '.join(map(repr, MODES))}")
    parser.add_argument("--rounds", type=int, default=5, help="times: how often each mode runs (default: %(default)s)")
    arguments = parser.parse_args()
    print(*machine(), sep="\n", flush=True)
    made = environment(arguments.env)
    if arguments.what == "times":
        return int(times(arguments, made) > 0)
    n_differences = verdicts(arguments, made)
    print(f"\n{n_differences} differences")
    return 1 if n_differences else 0


if __name__ == "__main__":
    sys.exit(main())
