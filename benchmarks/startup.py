"""Measure the cost of starting an interpreter, with the package installed, and measured.

Tables come out with the seconds of wall clock from the start of an interpreter to its end. The first is of a program of
one line: without the package, with it and INSTRUMENT unset, with INSTRUMENT set, and from 3.15 on with a start-up file
of PEP 829. The second is of the import of a large package, plain and measured with a warm cache. The environments are
made in a temporary folder. Modes take turns in fresh processes, and each ratio is that of one round.

    python benchmarks/startup.py
    python benchmarks/startup.py --rounds 40 --package networkx
    python benchmarks/startup.py --python /usr/bin/python3.15 --package ''
"""

import argparse
import os
import shutil
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
            for title, command in (
                ("the import alone", IMPORT.format(package=options.package)),
                ("start and end of the process included", f"import {options.package}"),
            ):
                arguments = ["-c", command]
                modes = {
                    "plain": lambda: seconds(installed, arguments, folder),  # noqa: B023
                    "measured, warm cache": lambda: seconds(installed, arguments, folder, **measured),  # noqa: B023
                }
                print(f"\nImport of {options.package}, {title}:")
                compare(modes, options.rounds)


if __name__ == "__main__":
    main()
