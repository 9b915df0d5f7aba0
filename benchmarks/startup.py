"""Measure the cost of starting an interpreter, with the package installed, and measured.

Tables come out with the seconds of wall clock from the start of an interpreter to its end. The first is of a program of
one line: without the package, with it and INSTRUMENT unset, with INSTRUMENT set, and from 3.15 on with a start-up file
of PEP 829. The second is of the import of a large package, plain and measured with a warm cache, also in CPU time. The
last is the CPU time of many short processes, each with 20 ms of its own Python, and their counts are checked. The
environments are made in a temporary folder. Modes take turns in fresh processes, and each ratio is that of one round.

    python benchmarks/startup.py
    python benchmarks/startup.py --rounds 40 --package networkx
    python benchmarks/startup.py --package '' --processes 1000
    python benchmarks/startup.py --python /usr/bin/python3.15 --package ''
"""

import argparse
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from overhead import machine

ROOT = Path(__file__).resolve().parents[1]
PLAIN = "without the package"


def environment(python, folder, *packages):
    """Make a virtual environment of *python* in *folder* with these *packages*; return its interpreter."""
    if subprocess.run([python, "-c", "import ensurepip"], capture_output=True).returncode == 0:
        subprocess.run([python, "-m", "venv", folder], check=True)
    else:  # where a distribution took it out
        subprocess.run([sys.executable, "-m", "virtualenv", "-q", "-p", python, folder], check=True)
    interpreter = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
    if packages:
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *packages], check=True)
    return str(interpreter)


IMPORT = """\
from time import perf_counter
begin = perf_counter()
import {package}
print(perf_counter() - begin)
"""


def seconds(interpreter, arguments, folder, **variables):
    """Return the number of seconds that a process prints, else the seconds from its start to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))}
    begin = time.perf_counter()
    finished = subprocess.run(
        [interpreter, *arguments], env={**kept, **variables}, cwd=folder, check=True, capture_output=True, text=True
    )
    return float(finished.stdout or time.perf_counter() - begin)


def cpu_seconds(interpreter, arguments, folder, **variables):
    """Return the CPU seconds of a process and of all that it starts."""

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    seconds(interpreter, arguments, folder, **variables)
    return used() - before


WORK = """\
def work(times):
    total = 0
    for number in range(times):
        total += number % 7
    return total
"""
#: The line of WORK that runs once for each of the times.
LINE = 4
#: Seconds of work of one short process, about.
SHORT = 0.02
#: So many short processes run one after the other before the other mode gets its turn.
BATCH = 20


def short_processes(interpreter, n, folder, **variables):
    """Run *n* short processes, plain and measured by *variables*; print their CPU time, and check their counts."""
    names = {}
    exec(WORK, names)
    times = 1000
    while True:
        begin = time.process_time()
        names["work"](times)
        took = time.process_time() - begin
        if took > SHORT / 2:
            break
        times *= 2
    times = int(times * SHORT / took)
    Path(folder, "work.py").write_text(WORK, encoding="utf-8")
    program = Path(folder, "short.py")
    program.write_text(f"import work\nwork.work({times})\n", encoding="utf-8")
    data = Path(folder, "short data")
    variables["INSTRUMENT_DIR"] = str(data)
    cpu_seconds(interpreter, [program], folder)  # these fill caches
    cpu_seconds(interpreter, [program], folder, **variables)
    shutil.rmtree(data)
    taken = {"plain": 0.0, "measured": 0.0}
    for begin in range(0, n, BATCH):
        for _ in range(begin, min(begin + BATCH, n)):
            taken["plain"] += cpu_seconds(interpreter, [program], folder)
        for _ in range(begin, min(begin + BATCH, n)):
            taken["measured"] += cpu_seconds(interpreter, [program], folder, **variables)
    command = ["-m", "instrument", "combine", data]  # short processes leave compact files
    seconds(interpreter, command, folder)
    n_found = n_counts = 0
    query = "SELECT count FROM line JOIN file ON file.id = line.file WHERE line = ? AND path LIKE '%work.py'"
    for file in data.glob("*.sqlite"):
        with sqlite3.connect(file) as connection:
            n_counts += sum(count for (count,) in connection.execute(query, (LINE,)))
            n_found += connection.execute("SELECT count(*) FROM process").fetchone()[0]
    for name, total in taken.items():
        print(f"  {name:<36} {total:8.2f} s   {total / n * 1000:6.1f} ms each   {total / taken['plain']:.3f}")
    is_exact = n_found == n and n_counts == n * times
    verdict = "as expected" if is_exact else f"but {n * times:,} in {n} processes were expected"
    print(f"  line {LINE} ran {n_counts:,} times in {n_found} processes, {verdict}")


def compare(modes, rounds):
    """Run *modes*, a function for each name, in turn; print medians, spread, and the ratio to the first."""
    times = {name: [] for name in modes}
    for n in range(rounds + 1):
        order = list(modes)
        for name in order[n % len(order) :] + order[: n % len(order)]:
            took = modes[name]()
            if n:  # the first round fills caches
                times[name].append(took)
    first = next(iter(modes))
    for name, taken in times.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        ratio = statistics.median(one / other for one, other in zip(taken, times[first]))
        print(f"  {name:<36} {middle * 1000:8.1f} ms  ({low * 1000:.1f} to {high * 1000:.1f})   {ratio:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter (default: this one)")
    parser.add_argument("--rounds", type=int, default=20, help="how often each mode runs (default: 20)")
    parser.add_argument("--package", default="networkx", help="the large package (default: networkx; empty: none)")
    parser.add_argument("--processes", type=int, default=200, help="how many short processes (default: 200; 0: none)")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        packages = [options.package] if options.package else []
        without = environment(options.python, f"{folder}/without", *packages)
        # A copy of the tree, so that no build is left in it.
        shutil.copytree(ROOT, f"{folder}/tree", ignore=shutil.ignore_patterns(".git", ".*_cache", "build", "dist"))
        installed = environment(options.python, f"{folder}/installed", *packages, f"{folder}/tree")
        script = Path(folder) / "program.py"
        script.write_text("x = 1\n", encoding="utf-8")
        measured = {"INSTRUMENT": "1", "INSTRUMENT_DIR": f"{folder}/data", "INSTRUMENT_CACHE": f"{folder}/cache"}
        modes = {
            PLAIN: lambda: seconds(without, [script], folder),
            "installed, INSTRUMENT unset": lambda: seconds(installed, [script], folder),
            "installed, INSTRUMENT=1": lambda: seconds(installed, [script], folder, **measured),
        }
        command = [installed, "-c", "import site, sys; print(sys.version_info >= (3, 15), site.getsitepackages()[0])"]
        is_new, packages_folder = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        if is_new == "True":
            starting = environment(options.python, f"{folder}/starting", f"{folder}/tree")
            start_file = packages_folder.replace(f"{folder}/installed", f"{folder}/starting") + "/instrument.start"
            Path(start_file).write_text("instrument.startup:start\n", encoding="utf-8")
            modes["with instrument.start, unset"] = lambda: seconds(starting, [script], folder)
        print(f"\nStart of a program of one line; ratios to {PLAIN}, {options.rounds} rounds:")
        compare(modes, options.rounds)
        if options.package:
            measured["INSTRUMENT"] = options.package
            for title, command, measure in (
                ("the import alone", IMPORT.format(package=options.package), seconds),
                ("start and end of the process included", f"import {options.package}", seconds),
                ("CPU time of the whole process", f"import {options.package}", cpu_seconds),
            ):
                arguments = ["-c", command]
                modes = {
                    "plain": lambda: measure(installed, arguments, folder),  # noqa: B023
                    "measured, warm cache": lambda: measure(installed, arguments, folder, **measured),  # noqa: B023
                }
                print(f"\nImport of {options.package}, {title}:")
                compare(modes, options.rounds)
        if options.processes:
            print(f"\nCPU time of {options.processes} short processes:")
            measured["INSTRUMENT"] = "1"
            short_processes(installed, options.processes, folder, **measured)


if __name__ == "__main__":
    main()
