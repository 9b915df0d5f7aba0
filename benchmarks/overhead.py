"""Measure how much slower programs run while they are counted.

The programs in programs/ go in, a table of ratios to the plain run comes out: for `instrument` in both placements, and
for the standard library's `trace`. Each run is a process of its own. All modes take turns in each round, and each ratio
is that of one round, so that a change of the machine's speed affects all modes. The CPU time of the program's work is
measured, without its import and without the reading of results. Before that, the script checks that counts are right.

    python benchmarks/overhead.py                       all programs, seven rounds
    python benchmarks/overhead.py --quick               shorter runs, three rounds, for a first impression
    python benchmarks/overhead.py nbody queens --json overhead.json
"""

import argparse
import importlib
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"

# Mode: the plain run that it is compared with. `trace` is so slow that it gets a share of the loops
# and a plain run of its own with as many.
MODES = {"minimal": "plain", "line": "plain", "trace": "plain, short"}
SHORT = 20

# The measured part, run by exec under each mode: the import is counted, but not timed.
COMMAND = """\
import {program} as program
from time import process_time
begin = process_time()
result = program.main(loops)
seconds = process_time() - begin
"""


# In the process that is timed ------------------------------------------------------------------------------------


def tracer(mode):
    """Return a fresh Trace of *mode* that leaves the standard library alone."""
    outside = sorted({sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib")})
    if mode == "trace":
        return importlib.import_module("trace").Trace(count=1, trace=0, ignoredirs=outside)
    return importlib.import_module("instrument.trace").Trace(count=1, trace=0, ignoredirs=outside, placement=mode)


def work(mode, program, loops, with_counts):
    """Run *program* under *mode*; return its result, its CPU seconds and, if wanted, the counts of its file's lines."""
    sys.path[:0] = [str(PROGRAMS), str(HERE.parent)]
    sys.dont_write_bytecode = True
    # The directory a program comes from must not be one of those ignored, whatever the prefix.
    scope = {"__name__": "__main__", "__file__": "command", "loops": loops}
    source = COMMAND.format(program=program)
    counts = {}
    if mode.startswith("plain"):
        exec(source, scope)
    else:
        session = tracer(mode)
        session.runctx(source, scope, scope)
        if with_counts:
            name = scope["program"].__file__
            counts = {line: count for (file, line), count in session.results().counts.items() if file == name}
    return {"result": repr(scope["result"]), "seconds": scope["seconds"], "counts": sorted(counts.items())}


# In the process that compares ------------------------------------------------------------------------------------


def run(mode, program, loops, with_counts=False):
    """Call `work` in a fresh process and return its results."""
    command = [sys.executable, __file__, "--work", mode, program, str(loops), str(int(with_counts))]
    # One hash seed for all: the order of sets must not make one mode's work longer than another's.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{program} under {mode} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def check(program, modes):
    """Exit unless all *modes* have the counts of `trace` and the result of the plain run."""
    plain = run("plain", program, 2)
    truth = run("trace", program, 2, with_counts=True)
    assert truth["counts"], f"{program}: trace counted nothing"
    for mode in modes:
        found = truth if mode == "trace" else run(mode, program, 2, with_counts=True)
        if found["result"] != plain["result"]:
            sys.exit(f"{program} under {mode} returns {found['result']}, plain {plain['result']}")
        if found["counts"] != truth["counts"]:
            ours, theirs = dict(found["counts"]), dict(truth["counts"])
            wrong = [f"line {line}: {ours.get(line, 0)} instead of {theirs.get(line, 0)}"
                     for line in sorted(ours.keys() | theirs.keys()) if ours.get(line) != theirs.get(line)]
            sys.exit(f"{program} under {mode} miscounts:\n" + "\n".join(wrong))


def measure(program, modes, rounds, share):
    """Return for each mode its ratios to the plain run, one a round, and the plain run's seconds."""
    spec = importlib.util.spec_from_file_location(program, PROGRAMS / f"{program}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loops = max(1, int(module.LOOPS * share))
    short = max(1, loops // SHORT)
    runs = ["plain", *modes]
    if "trace" in modes:
        runs.insert(1, "plain, short")
    seconds = {mode: [] for mode in runs}
    for turn in range(rounds):
        results = {}
        # Each round starts with another mode, so that none always runs after the same one.
        for mode in runs[turn % len(runs):] + runs[:turn % len(runs)]:
            few = mode in ("trace", "plain, short")
            told = run(mode, program, short if few else loops)
            seconds[mode].append(told["seconds"])
            results.setdefault(few, set()).add(told["result"])
        assert all(len(same) == 1 for same in results.values()), f"{program} computes something else when counted"
    ratios = {mode: [one / plain for one, plain in zip(seconds[mode], seconds[MODES[mode]], strict=True)]
              for mode in modes}
    return {"program": program, "loops": loops, "plain seconds": seconds["plain"], "ratios": ratios}


def spread(ratios):
    """Return *ratios* as text: the median, and the range of the middle half."""
    if len(ratios) < 4:
        low, high = min(ratios), max(ratios)
    else:
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{statistics.median(ratios):7.3f} ({low:.3f}..{high:.3f})"


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def machine():
    """Return lines that name the Python and the machine."""
    try:
        model = next(line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                     if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or "unknown processor"
    return [f"Python {platform.python_version()} ({' '.join(platform.python_build())}), {platform.python_compiler()}",
            f"{platform.system()} {platform.machine()}, {model}, {os.cpu_count()} cores"]


def main():
    everything = sorted(path.stem for path in PROGRAMS.glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="some of: " + ", ".join(everything))
    parser.add_argument("--rounds", type=int, help="how often each mode of a program is run (default: 7; quick: 3)")
    parser.add_argument("--quick", action="store_true", help="a quarter of the work, fewer rounds")
    parser.add_argument("--modes", default=",".join(MODES), help="which to time (default: %(default)s)")
    parser.add_argument("--no-check", action="store_true", help="do not compare the counts with trace's first")
    parser.add_argument("--json", metavar="FILE", help="write every single measurement there")
    arguments = parser.parse_args()
    programs = arguments.programs or everything
    modes = arguments.modes.split(",")
    rounds = arguments.rounds or (3 if arguments.quick else 7)
    if unknown := {*programs} - {*everything} or {*modes} - {*MODES}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")

    lines = machine()
    print(*lines, sep="\n")
    print(f"\nCPU time as a multiple of the plain run: median of {rounds} rounds (and its "
          f"{'range' if rounds < 4 else 'quartiles'})\n")
    print(f"{'program':<18}{'plain s':>8}" + "".join(f"{mode:>25}" for mode in modes))
    begin = time.monotonic()
    table = []
    for program in programs:
        if not arguments.no_check:
            check(program, modes)
        row = measure(program, modes, rounds, 0.25 if arguments.quick else 1)
        table.append(row)
        print(f"{program:<18}{statistics.median(row['plain seconds']):8.3f}"
              + "".join(f"{spread(row['ratios'][mode]):>25}" for mode in modes), flush=True)
    means = {mode: geometric_mean([statistics.median(row["ratios"][mode]) for row in table]) for mode in modes}
    print(f"{'geometric mean':<26}" + "".join(f"{means[mode]:7.3f}{'':<18}" for mode in modes).rstrip())
    print(f"\n{len(table)} programs, {'not checked' if arguments.no_check else 'counts equal to those of trace'}; "
          f"{time.monotonic() - begin:.0f} s in all")
    if arguments.json:
        answer = {"machine": lines, "rounds": rounds, "geometric means": means, "programs": table}
        Path(arguments.json).write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        _, _, chosen, name, turns, wanted = sys.argv
        print(json.dumps(work(chosen, name, int(turns), wanted == "1")))
    else:
        main()
