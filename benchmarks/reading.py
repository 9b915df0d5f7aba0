"""Measure the cost of instrumenting code, and of reading its counts.

The number of executed lines goes in. The script generates a package of that size, with functions, loops, conditions,
handlers and classes. It prints the times of a plain run, of a cold run (all lines are rewritten), of reading all counts
inside the program, of `results()` after the run, and of the report. Each is the median of some fresh processes.

    python benchmarks/reading.py [--lines 50000] [--rounds 3] [--placement minimal|line|trace]
"""

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from overhead import machine

HERE = Path(__file__).resolve().parent

# A class and a function; all of their lines but one run when `work` is called.
PIECE = '''
class Piece{n}:
    def __init__(self, size):
        self.size = size
        self.items = []
        self.total = 0

    def fill(self):
        for number in range(self.size):
            if number % 2:
                self.items.append(number)
            else:
                self.items.append(-number)
            self.total += number
        return self

    def check(self):
        found = None
        try:
            found = self.items.index(-2)
            if found > {n}:
                found = 0
            found = self.items.index("no such item")
        except ValueError:
            found = -1
        finally:
            self.total += 1
        names = [str(item) for item in self.items]
        while len(names) > 2:
            names.pop()
            self.total += len(names)
        return found, names


def work{n}(size):
    piece = Piece{n}(size)
    found, names = piece.fill().check()
    return piece.total + len(names) + found
'''
PIECES_A_MODULE = 25


def generate(lines, folder):
    """Write a package of at least *lines* executable lines into *folder*."""
    silent = ("", "else:", "finally:", "found = 0") # without code, or never reached
    executed = sum(1 for line in PIECE.splitlines() if line.strip() not in silent)
    pieces = -(-lines // executed)
    modules = -(-pieces // PIECES_A_MODULE)
    package = folder / "generated"
    package.mkdir()
    names = [f"part{module}" for module in range(modules)]
    for module, name in enumerate(names):
        numbers = range(module * PIECES_A_MODULE, min(pieces, (module + 1) * PIECES_A_MODULE))
        text = "".join(PIECE.format(n=number) for number in numbers)
        text += "\n\ntotal = 0\n" + "".join(f"total += work{number}(5)\n" for number in numbers)
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    (package / "__init__.py").write_text("".join(f"from . import {name}\n" for name in names), encoding="utf-8")


def work(placement, folder):
    """Import the generated package in this process; return the seconds of each step."""
    sys.path[:0] = [folder, str(HERE.parent)]
    sys.dont_write_bytecode = True
    seconds, clock = {}, time.perf_counter

    @contextlib.contextmanager
    def timed(step):
        begin = clock()
        yield
        seconds[step] = clock() - begin

    if placement == "plain":
        with timed("run"):
            exec("import generated", {"__name__": "__main__"})
        return {"seconds": seconds}
    outside = [sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib")]
    if placement == "trace":
        import trace
        tracer = trace.Trace(count=1, trace=0, ignoredirs=outside)
    else:
        import instrument.trace
        tracer = instrument.trace.Trace(count=1, trace=0, ignoredirs=outside, placement=placement)
    # At the end of a run all counts are recovered, so measure a reading during the run.
    scope = {"__name__": "__main__", "__file__": "command", "tracer": tracer, "clock": clock}
    with timed("run"):
        tracer.runctx("import generated\nbegin = clock()\ntracer.results()\nreading = clock() - begin", scope, scope)
    seconds["reading"] = scope["reading"]
    seconds["run"] -= scope["reading"]
    with timed("results"):
        results = tracer.results()
    with timed("report"), contextlib.redirect_stdout(io.StringIO()):
        results.write_results(show_missing=True, summary=True, coverdir=str(Path(folder) / "covers"))
    counts = sorted((Path(name).name, line, count) for (name, line), count in results.counts.items()
                    if name.startswith(folder))
    return {"seconds": seconds, "lines": len(counts), "sum": sum(count for *_, count in counts)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lines", type=int, default=50_000, help="executed lines (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each (default: %(default)s)")
    parser.add_argument("--placement", default="minimal,line,trace", help="what to time (default: %(default)s)")
    arguments = parser.parse_args()
    print(*machine(), sep="\n")
    placements = ["plain", *arguments.placement.split(",")]
    told = {placement: [] for placement in placements}
    for _ in range(arguments.rounds):
        for placement in placements:
            with tempfile.TemporaryDirectory() as folder:
                generate(arguments.lines, Path(folder))
                done = subprocess.run([sys.executable, __file__, "--work", placement, folder],
                                      capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{placement} failed:\n{done.stderr}")
            told[placement].append(json.loads(done.stdout.splitlines()[-1]))

    def median(placement, step):
        return statistics.median(one["seconds"][step] for one in told[placement])

    plain = median("plain", "run")
    print(f"\nSeconds, median of {arguments.rounds}; a plain import (compile and run) takes {plain:.2f}\n")
    print(f"{'':<10}{'lines':>8}{'run':>8}{'per line':>12}{'reading':>10}{'results':>9}{'report':>8}")
    for placement in placements[1:]:
        run, lines = median(placement, "run"), told[placement][0]["lines"]
        steps = "".join(f"{median(placement, step):{width}.2f}"
                        for step, width in (("reading", 10), ("results", 9), ("report", 8)))
        print(f"{placement:<10}{lines:8}{run:8.2f}{(run - plain) / lines * 1e6:9.0f} µs{steps}")
    found = {(one["lines"], one["sum"]) for placement in placements[1:] for one in told[placement]}
    if len(found) > 1:
        sys.exit(f"the ways of counting disagree (lines, sum of counts): {sorted(found)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(*sys.argv[2:])))
    else:
        main()
