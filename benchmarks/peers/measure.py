"""Workloads and tools go in, a record of all measurements comes out.

Each run is a process of its own. All tools of a workload take turns in each round, and each ratio is that of one round,
so that a change of the machine's speed affects all tools. First, each tool must prove three things in a short run: it
records the code in scope, results equal those of the plain run, and exact counts equal those of the standard library's
trace.
"""

import collections
import json
import os
import subprocess
import tempfile
from pathlib import Path

from no_harm import read_junit

from peers.tools import TOOLS

HERE = Path(__file__).resolve().parent

SLOW = 10  # slow tools do a tenth of the loops
PLAIN_SLOW = "plain, short"  # the plain run that slow tools are held against
SLOW_TURNS = 3  # they take part in every third round
# How far the work grows, as multiples of the loops of a timed run; and how far under slow tools.
GROWTH = (0.25, 1, 4)
GROWTH_SLOW = 1

# Settings for the Python of this script must not reach the one that is measured.
FOREIGN = ("PYTHON", "COVERAGE", "SLIPCOVER", "PYTEST", "INSTRUMENT", "LINE_PROFILE", "HYPOTHESIS")


class Failed(Exception):
    """A run failed; the message is the last line of its output."""


class Runner:
    """Runs workloads in fresh processes of *environment*'s Python. *folder*: for what they leave behind."""

    def __init__(self, environment, instrument, folder, timeout):
        self.environment = environment
        self.instrument = str(instrument)
        self.folder = Path(folder)
        self.timeout = timeout
        (self.folder / "cwd").mkdir()

    def variables(self, tool, workload, cache):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {
            **kept, **TOOLS[tool].environment,
            # One hash seed for all: the order of sets must not make one tool's work longer than another's.
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(workload.path),
            "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"),
            "INSTRUMENT_CACHE": cache,
            # No peer's own plugin in every pytest; and examples of Hypothesis that are the same in each run.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "CI": "true",
        }

    def run(self, tool, workload, loops, lines=False):
        """Return the answer of `measured`: the seconds, the result and, with *lines*, the recorded lines."""
        with tempfile.TemporaryDirectory(dir=self.folder) as own:
            answer, report = Path(own) / "answer.json", Path(own) / "report.xml"
            arguments = workload.arguments
            if workload.kind == "suite":
                # Tests come through the import system and are met there by each tool: --assert=plain.
                arguments = [*arguments, "--assert=plain", f"--junitxml={report}", "-p", "no:cacheprovider", "-q",
                             "-o", "addopts=", "--continue-on-collection-errors"]
            request = {
                "tool": tool, "kind": workload.kind, "name": workload.name, "folder": workload.folder,
                "file": workload.file, "arguments": arguments, "loops": loops, "scope": workload.scope,
                "forget": workload.forget, "ignore": self.environment.ignore, "instrument": self.instrument,
                "lines": lines, "answer": str(answer),
            }
            asked = Path(own) / "request.json"
            asked.write_text(json.dumps(request), encoding="utf-8")
            cache = str(Path(own) / "cache" if TOOLS[tool].cold else self.folder / "cache")
            # -P: what lies beside the script is not to be found by the program.
            command = [self.environment.python, "-P", str(HERE / "measured.py"), str(asked)]
            folder = workload.folder if workload.kind == "suite" else self.folder / "cwd"
            try:
                done = subprocess.run(command, cwd=folder, env=self.variables(tool, workload, cache),
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=self.timeout,
                                      encoding="utf-8", errors="replace")
            except subprocess.TimeoutExpired:
                raise Failed(f"stopped after {self.timeout} s") from None
            if not answer.exists():
                said = (done.stderr.strip() or done.stdout.strip() or "nothing said").splitlines()[-1]
                raise Failed(f"{said} (status {done.returncode})")
            told = json.loads(answer.read_text(encoding="utf-8"))
            if workload.kind == "suite":
                if not report.exists():
                    raise Failed(f"pytest wrote no report; {told['shown']}")
                verdicts = collections.Counter(verdict for verdict, _ in read_junit(report).values())
                if not verdicts["ok"]:
                    raise Failed(f"no test passed: {dict(verdicts)}; {told['shown']}")
                told["result"] = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
            if lines:
                told["lines"] = {file: dict(map(tuple, seen)) for file, seen in told["lines"].items()
                                 if file.startswith(tuple(os.path.join(path, "") for path in workload.scope))}
            return told


def flat(lines):
    return {(file, line): count for file, seen in lines.items() for line, count in seen.items()}


def compare(tool, told, truth, unsteady):
    """Return what is wrong with the lines that *tool* saw, or None. *truth*: those of trace, or None; *unsteady*: lines
    whose count differs from one run under trace to the next.
    """
    if not any(told["lines"].values()):
        return "saw no line in scope"
    if truth is None or TOOLS[tool].functions_only:
        return None
    seen, true = flat(told["lines"]), flat(truth["lines"])
    if not TOOLS[tool].exact:
        missed = len(true.keys() - seen.keys())
        return f"missed {missed} of the {len(true)} lines that trace saw" if missed > len(true) / 10 else None
    found = []
    # trace decides by bare module name, first come first served: `pkg/ast.py` is ignored if the standard library's ast
    # was met before. Whole files that only one of the two saw are named, and counts compared in the others.
    apart = {file for file in told["lines"].keys() ^ truth["lines"].keys() if not {*unsteady} & {
        (file, line) for line in (*told["lines"].get(file, ()), *truth["lines"].get(file, ()))}}
    if apart:
        whose = " and ".join(f"{len(files)} {text} ({', '.join(sorted({Path(file).name for file in files})[:4])})"
                             for files, text in ((apart & told["lines"].keys(), "that trace ignored"),
                                                 (apart & truth["lines"].keys(), "less than trace")) if files)
        found.append(f"saw files: {whose}")
    wrong = sorted(where for where in seen.keys() | true.keys()
                   if seen.get(where) != true.get(where) and where not in unsteady and where[0] not in apart)
    if wrong:
        file, line = wrong[0]
        found.append(f"{len(wrong)} of {len(true)} counts differ from trace's, such as {Path(file).name}:{line}, "
                     f"{seen.get(wrong[0], 0)} instead of {true.get(wrong[0], 0)}")
        if unsteady:
            found.append(f"trace's own differ for {len(unsteady)} other lines from run to run")
    return "; ".join(found) or None


def check(runner, workload, tools, loops):
    """Return for each of *tools* the number of lines that it recorded, its failure, and other remarks.

    This is also the run that fills `instrument`'s cache, and Python's own.
    """
    seen, errors, notes = {}, {}, {}
    plain = runner.run("plain", workload, loops)
    unsteady = set()
    try:
        truth = runner.run("trace", workload, loops, lines=True)
    except Failed as failed:
        truth = None
        notes["trace"] = f"nothing to compare counts with: {failed}"
    for tool in tools:
        if tool == "plain" or TOOLS[tool].cold:
            continue
        try:
            told = truth if tool == "trace" and truth else runner.run(tool, workload, loops, lines=True)
        except Failed as failed:
            errors[tool] = str(failed)
            continue
        seen[tool] = sum(map(len, told["lines"].values()))
        if told["result"] != plain["result"]:
            said = f"{told['result']} instead of {plain['result']}"
            if workload.kind == "suite":
                notes[tool] = said
            else:
                errors[tool] = f"computes something else than plain: {said}"
                continue
        wrong = compare(tool, told, truth, unsteady)
        if wrong and TOOLS[tool].exact and truth and not unsteady:
            # Is it the program that is not the same each time?
            again = flat(runner.run("trace", workload, loops, lines=True)["lines"])
            before = flat(truth["lines"])
            unsteady = {where for where in again.keys() | before.keys() if again.get(where) != before.get(where)}
            wrong = compare(tool, told, truth, unsteady)
        if wrong:
            notes[tool] = f"{notes[tool]}; {wrong}" if tool in notes else wrong
    return {"seen": seen, "errors": errors, "notes": notes, "unsteady": len(unsteady),
            "lines of trace": 0 if truth is None else sum(map(len, truth["lines"].values()))}


def calibrate(runner, workload, target):
    """Return the number of loops that take *target* CPU seconds in a plain run."""
    loops = 1
    for _ in range(3):
        seconds = max(runner.run("plain", workload, loops)["seconds"], 1e-6)
        loops, before = max(1, round(loops * target / seconds)), loops
        if loops < 10 * before:
            break
    return loops


def measure(runner, workload, tools, rounds, target, checked, progress):
    """Return the record of *workload*: the seconds of all runs, the ratios, and the errors."""
    record = {"group": workload.group, "name": workload.name, "seconds": {}, "ratios": {}, "errors": {}, "notes": {}}
    tools = [tool for tool in tools if workload.group in TOOLS[tool].groups]
    growing, suite = workload.group == "growth", workload.kind == "suite"
    try:
        progress(workload, "calibrate")
        loops = 1 if suite else calibrate(runner, workload, target)
        record["loops"] = loops
        if suite:
            progress(workload, "plain, not timed")
            record["verdicts"] = runner.run("plain", workload, loops)["result"]
        if checked:
            progress(workload, "check")
            record.update(check(runner, workload, tools, 2 if workload.kind == "micro" else 1))
        elif suite:
            for tool in tools:
                progress(workload, "fill caches, not timed", tool)
                runner.run(tool, workload, loops)
    except Failed as failed:
        record["errors"]["plain"] = str(failed)
        return record
    tools = [tool for tool in tools if tool not in record["errors"]]
    if growing:
        # One round less than others have: each is long, and a line is drawn through all of its points.
        record["growth"] = grow(runner, workload, tools, loops, max(1, rounds - 1), record["errors"], progress)
        return record
    # `few` do fewer loops and have a plain run of their own; the tests of a suite cannot be halved.
    few = [] if suite else [tool for tool in tools if TOOLS[tool].slow]
    short = max(1, loops // SLOW)
    runs = [*tools]
    if few and short < loops:
        runs.insert(1, PLAIN_SLOW)
    else:
        few = []
    take_turns(runner, workload, runs, rounds, {run: short if run in (*few, PLAIN_SLOW) else loops for run in runs},
               record, progress)
    for tool in tools:
        base = record["seconds"].get(PLAIN_SLOW if tool in few else "plain", {})
        if tool != "plain" and tool not in record["errors"]:
            record["ratios"][tool] = [seconds / base[turn] for turn, seconds in record["seconds"][tool].items()
                                      if base.get(turn)]
    return record


def take_turns(runner, workload, runs, rounds, loops, record, progress):
    """Run each of *runs* in every round; put {round: seconds} and errors into *record*."""
    results = {}
    for turn in range(rounds):
        # Each round starts with another, so that none always runs after the same one.
        for run in runs[turn % len(runs):] + runs[:turn % len(runs)]:
            tool = "plain" if run == PLAIN_SLOW else run
            few = run == PLAIN_SLOW or TOOLS[tool].slow
            if run in record["errors"] or (TOOLS[tool].cold and turn) or (few and turn % SLOW_TURNS):
                continue
            progress(workload, f"round {turn + 1} of {rounds}", run)
            try:
                told = runner.run(tool, workload, loops[run])
            except Failed as failed:
                record["errors"][run] = str(failed)
                continue
            record["seconds"].setdefault(run, {})[turn] = told["seconds"]
            expected = results.setdefault(loops[run], told["result"])
            if told["result"] != expected:
                record["notes"].setdefault(run, f"{told['result']} instead of {expected}")


def grow(runner, workload, tools, loops, rounds, errors, progress):
    """Return {tool: [[loops, CPU seconds of the whole process, in each round] …]}: start, work, and reading results."""
    points = {}
    for turn in range(rounds):
        for times in GROWTH:
            for tool in tools[turn % len(tools):] + tools[:turn % len(tools)]:
                if tool in errors or (TOOLS[tool].slow and times > GROWTH_SLOW):
                    continue
                many = max(1, round(loops * times))
                progress(workload, f"round {turn + 1} of {rounds}", f"{many} loops, {tool}")
                try:
                    total = runner.run(tool, workload, many, lines=True)["total"]
                except Failed as failed:
                    errors[tool] = str(failed)
                    continue
                points.setdefault(tool, []).append([many, total])
    return points
