"""Measure the cost of running programs under `instrument`, and under comparable tools, its peers.

The programs are small ones, programs and libraries of pyperformance, and test suites of packages. Each runs plain,
under `instrument` in both placements, and under its peers:

- the standard library's trace, line_profiler, and a callback of sys.monitoring that counts;
- coverage.py with both of its cores, and slipcover without and with branches.

The code in scope is the same for all tools. Each run is a process of its own, all tools take turns, and each ratio is
that of one round. First, each tool must prove that it records the code and does not change its results. Tables come
out, and optionally all measurements and a picture.

    python benchmarks/peers.py --short --env /tmp/peers        two minutes, once the environment is made
    python benchmarks/peers.py --json peers.json --plot peers.svg
    python benchmarks/peers.py --groups micro programs --tools minimal slipcover --rounds 5
    python benchmarks/peers.py --workloads micro/calls libraries/sympy:str
    python benchmarks/peers.py --merge 3.11.json 3.13.json --plot peers.png
    python benchmarks/peers.py --smoke                         seconds, without an environment or a network
"""

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from overhead import machine
from peers import environment as environments
from peers import measure, report, workloads
from peers.tools import TOOLS

HERE = Path(__file__).resolve().parent
SMOKE_TOOLS = ("plain", "minimal", "line", "trace", "monitoring")


class Progress:
    """Prints the progress to stderr: in one line on a terminal, else in a line for each step."""

    def __init__(self, steps=0):
        self.begin = time.monotonic()
        self.steps, self.done = steps, 0
        self.terminal = sys.stderr.isatty()
        self.last = None

    def say(self, text):
        passed = int(time.monotonic() - self.begin)
        line = f"{passed // 60:3}:{passed % 60:02}  {text}"
        print(f"\r\033[K{line[:110]}" if self.terminal else line, end="" if self.terminal else "\n", file=sys.stderr,
              flush=True)

    def __call__(self, workload, step, detail=""):
        """Print the step that runs next; the details only on a terminal."""
        line = f"[{self.done + 1}/{self.steps}] {workload.title}: {step}"
        if self.terminal:
            self.say(f"{line}, {detail}" if detail else line)
        elif line != self.last:
            self.last = line
            self.say(line)

    def end(self):
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def load():
    """Return a line with the load of the machine."""
    try:
        return f"{time.strftime('%Y-%m-%d %H:%M')}, load average {os.getloadavg()[0]:.1f} at the start"
    except (AttributeError, OSError):
        return time.strftime("%Y-%m-%d %H:%M")


def chosen_tools(arguments, missing):
    """Return the names of the tools to run, plain first; add tools that this Python cannot run to *missing*."""
    names = ["plain", *(name for name in arguments.tools or TOOLS if name != "plain")]
    if arguments.smoke and not arguments.tools:
        names = list(SMOKE_TOOLS)
    found = []
    for name in names:
        tool = TOOLS[name]
        if sys.version_info < tool.since:
            missing[tool.title] = f"needs Python {'.'.join(map(str, tool.since))}"
        elif tool.package in missing or (tool.package and arguments.smoke):
            missing[tool.title] = missing.get(tool.package, "a smoke test has no peers that must be installed")
        else:
            found.append(name)
    return found


def chosen_workloads(arguments, environment, missing):
    """Return the workloads to run; add workloads that *environment* lacks to *missing*."""
    known = workloads.names()
    if arguments.workloads:
        pairs = [tuple(title.split("/", 1)) for title in arguments.workloads]
    elif arguments.smoke:
        pairs = [("micro", name) for name in workloads.SMOKE]
    else:
        pairs = [(group, name) for group in arguments.groups
                 for name in (workloads.SHORT[group] if arguments.short else known[group])]
    found = []
    for group, name in pairs:
        try:
            found.append(workloads.make(group, name, environment))
        except LookupError as error:
            missing[f"{group}/{name}"] = str(error)
    return found


def run(arguments, measurement, progress, scratch):
    """Run the workloads of *arguments*; add each record to *measurement* at once, so that Ctrl-C loses only one."""
    missing = measurement["missing"]
    if arguments.smoke:
        environment = environments.Bare()
    else:
        environment = environments.Environment(arguments.env or scratch / "env", arguments.instrument, progress.say)
        missing.update({what: why for what, why in environment.missing.items() if what in environments.PEERS})
    found = chosen_workloads(arguments, environment, missing)
    tools = chosen_tools(arguments, missing)
    measurement["versions"] = environment.versions()
    progress.steps = len(found)
    (scratch / "runs").mkdir()
    runner = measure.Runner(environment, arguments.instrument, scratch / "runs", arguments.timeout)
    for workload in found:
        measurement["workloads"].append(measure.measure(
            runner, workload, tools, arguments.rounds, arguments.seconds, not arguments.no_check, progress))
        progress.done += 1
        if arguments.json:
            write(arguments.json, [measurement])


def write(path, measurements):
    """Write *measurements* whole or not at all."""
    part = Path(f"{path}.part")
    part.write_text(json.dumps(measurements, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)


def plot(arguments, measurements, scratch, say):
    """Draw the picture with the first Python that has matplotlib: this one, or that of the environment."""
    data = scratch / "measurements.json"
    write(data, measurements)
    python = sys.executable
    if importlib.util.find_spec("matplotlib") is None:
        environment = environments.Environment(arguments.env or scratch / "env", arguments.instrument, say)
        try:
            environment.need("matplotlib", "matplotlib")
        except LookupError as error:
            sys.exit(f"no picture, for matplotlib cannot be installed: {error}")
        python = environment.python
    say("drawing")
    done = subprocess.run([python, str(HERE / "peers" / "plot.py"), arguments.plot, str(data)], stderr=subprocess.PIPE,
                          text=True)
    if done.returncode:
        sys.exit(f"no picture: {done.stderr.strip().splitlines()[-1]}")


def parse(words):
    """Return the arguments of the command line *words*, checked and completed."""
    known = workloads.names()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", choices=known, default=list(known), metavar="GROUP",
                        help=f"some of: {', '.join(known)}")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, metavar="TOOL", help=f"some of: {', '.join(TOOLS)}")
    parser.add_argument("--workloads", nargs="+", metavar="GROUP/NAME", help="only these; --list shows them all")
    parser.add_argument("--list", action="store_true", help="show the names of all workloads")
    parser.add_argument("--rounds", type=int, help="how often each tool runs each workload (default: 5; short: 2)")
    parser.add_argument("--seconds", type=float, help="CPU time of a plain run (default: 0.5; short: 0.1)")
    parser.add_argument("--short", action="store_true", help="some workloads of each group, shorter runs, fewer rounds")
    parser.add_argument("--smoke", action="store_true", help="does the benchmark work? Two programs, nothing installed")
    parser.add_argument("--no-check", action="store_true", help="do not compare results, lines and counts first")
    parser.add_argument("--timeout", type=int, default=900, help="seconds for one run (default: %(default)s)")
    parser.add_argument("--env", metavar="DIR", help="make the environment there, and use it again the next time")
    parser.add_argument("--instrument", metavar="DIR", default=str(HERE.parent),
                        help="source tree of the `instrument` to measure (default: the one that this script is in)")
    parser.add_argument("--json", metavar="FILE", help="write every single measurement there")
    parser.add_argument("--plot", metavar="FILE", help="draw a picture, .png or .svg")
    parser.add_argument("--merge", nargs="+", metavar="FILE", help="measure nothing, show what these JSON files hold")
    arguments = parser.parse_args(words)
    for title in arguments.workloads or ():
        group, _, name = title.partition("/")
        if name not in known.get(group, ()):
            parser.error(f"unknown workload {title!r}; --list shows them all")
    if not (Path(arguments.instrument) / "instrument" / "__init__.py").exists():
        parser.error(f"there is no package `instrument` in {arguments.instrument}")
    arguments.instrument = str(Path(arguments.instrument).resolve())
    brief = arguments.short or arguments.smoke
    arguments.rounds = arguments.rounds or (1 if arguments.smoke else 2 if arguments.short else 5)
    arguments.seconds = arguments.seconds or (0.02 if arguments.smoke else 0.1 if brief else 0.5)
    return arguments


def main(words=None):
    arguments = parse(words)
    if arguments.list:
        print("\n".join(f"{group}/{name}" for group, names in workloads.names().items() for name in names))
        return 0
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder).resolve()
        if arguments.merge:
            measurements = report.merge([one for file in arguments.merge
                                         for one in json.loads(Path(file).read_text(encoding="utf-8"))])
        else:
            measurement = {"python": ".".join(map(str, sys.version_info[:3])),
                           "machine": [*machine(), load()], "versions": {},
                           "missing": {}, "options": vars(arguments), "workloads": []}
            measurements = [measurement]
            with contextlib.suppress(KeyboardInterrupt):
                run(arguments, measurement, progress, scratch)
            progress.end()
        print(report.text(measurements))
        if arguments.json:
            write(arguments.json, measurements)
        if arguments.plot:
            plot(arguments, measurements, scratch, progress.say)
            progress.end()
        failed = [record for one in measurements for record in one["workloads"] if record["errors"]]
        number = sum(len(one["workloads"]) for one in measurements)
        print(f"\n{number} workloads, {len(failed)} with a tool that failed; "
              f"{time.monotonic() - progress.begin:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
