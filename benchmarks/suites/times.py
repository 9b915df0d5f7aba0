"""Times runs of a suite: plain, counted in three ways, and under peers of the plugin.

A Runner comes in. For each mode the CPU seconds and the seconds of each round go out, and notes on modes that fail.

All modes take turns in each round, and a ratio is that of one round. So a change of the machine's speed affects all
modes. CPU time includes child processes. No mode makes a report. Each mode loads its own plugin of pytest alone.
"""

import math
import re
import shutil
import statistics
import sys
from dataclasses import dataclass

PLAIN, COLD, SYSMON = "plain", "cold", "cov sysmon"


@dataclass(frozen=True)
class Mode:
    """A way to run a suite: *title* is the head of a column, *package* must be installed, from the Python *since*."""

    title: str
    package: str = ""
    since: tuple = (3, 11)


MODES = {
    PLAIN: Mode("plain"),
    COLD: Mode("--instrument, first run"),
    "warm": Mode("--instrument"),
    "contexts": Mode("--instrument-contexts"),
    "cov ctrace": Mode("pytest-cov, C tracer", "pytest-cov"),
    SYSMON: Mode("pytest-cov, sys.monitoring", "pytest-cov", since=(3, 12)),
    "slipcover": Mode("slipcover", "slipcover"),
    "pyxtrace": Mode("pyxtrace", "pyxtrace"),
}
_SUMMARY = re.compile(r"^(.*\d+ (?:passed|failed|error|skipped).*?) in \d", re.MULTILINE)


class Timing:
    """Times the suite of *runner* in *modes*. `cpu` and `wall` have a list of seconds for each mode."""

    def __init__(self, runner, modes):
        self.runner = runner
        self.modes = [mode for mode in modes if sys.version_info >= MODES[mode].since]
        self.cpu = {mode: [] for mode in self.modes}
        self.wall = {mode: [] for mode in self.modes}
        self.notes = {}

    def measure(self, rounds, say):
        """Run all modes once untimed, which fills the caches, and then in this number of *rounds*."""
        results = {}
        for mode in self.modes:
            if MODES[mode].package in self.runner.environment.missing:
                self.notes[mode] = self.runner.environment.missing[MODES[mode].package]
                continue
            say(f"{self.runner.suite.name}: {mode}, untimed")
            ended = self.run(mode)
            results[mode] = ended.status, _SUMMARY.findall(ended.output)[-1:]
            if results[mode] != results[PLAIN]:
                last = ended.output.strip().splitlines()[-1:]
                self.notes[mode] = f"{results[mode]} in place of {results[PLAIN]}: {last}"
        for turn in range(rounds):
            for mode in self.modes[turn % len(self.modes) :] + self.modes[: turn % len(self.modes)]:
                if results.get(mode, (None, []))[1]:
                    say(f"{self.runner.suite.name}: {mode}, round {turn + 1} of {rounds}")
                    ended = self.run(mode)
                    self.cpu[mode].append(ended.cpu)
                    self.wall[mode].append(ended.wall)

    def run(self, mode):
        """Run the suite once in this *mode*; return the Ended."""
        scratch, scope = self.runner.scratch, self.runner.suite.scope
        given = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "INSTRUMENT_DIR": str(scratch / "data")}
        if mode == COLD:
            given["INSTRUMENT_CACHE"] = str(scratch / "cold")
            shutil.rmtree(scratch / "cold", ignore_errors=True)
        if mode in (COLD, "warm", "contexts"):
            options = ["-p", "instrument_pytest", f"--instrument={','.join(scope)}", "--instrument-report=none"]
            return self.runner.pytest(*options, *(["--instrument-contexts"] if mode == "contexts" else []), **given)
        if mode.startswith("cov "):
            (scratch / "coveragerc").touch()
            given |= {"COVERAGE_CORE": mode.removeprefix("cov "), "COVERAGE_FILE": str(scratch / "coverage")}
            options = ["-p", "pytest_cov", f"--cov-config={scratch / 'coveragerc'}", "--cov-report="]
            return self.runner.pytest(*options, *(f"--cov={folder}" for folder in scope), **given)
        if mode == "slipcover":
            before = ("-m", "slipcover", "--source", ",".join(scope), "--out", str(scratch / "slipcover.json"))
            return self.runner.pytest(before=(*before, "--json", "-m", "pytest"), **given)
        if mode == "pyxtrace":
            given |= {
                "PYXTRACE_PYTEST_OUT": str(scratch / "pyxtrace.json"),
                "PYXTRACE_PYTEST_ROOT": str(self.runner.suite.source.parent.parent),
                "PYXTRACE_MAX_CALLS": "0",
            }
            return self.runner.pytest("-p", "pyxtrace.pytest_plugin", **given)
        return self.runner.pytest(**given)

    def ratios(self, mode, kind="cpu"):
        """Return the ratios to plain of this *mode*, one for each round; *kind* is cpu or wall."""
        seconds = getattr(self, kind)
        return [one / plain for one, plain in zip(seconds[mode], seconds[PLAIN]) if plain]


def table(timings, kind):
    """Return the lines of a Markdown table with the median and the range of the ratios of each mode, by package."""
    modes = [mode for mode in MODES if any(each.ratios(mode) for each in timings if mode in each.modes)]
    heads = [MODES[mode].title for mode in modes if mode != PLAIN]
    lines = [f"| package | plain, s | {' | '.join(heads)} |", "| --- " * (len(heads) + 2) + "|"]
    medians = {mode: [] for mode in modes}
    for each in timings:
        cells = []
        for mode in modes:
            ratios = each.ratios(mode, kind) if mode in each.modes else []
            if ratios:
                medians[mode].append(statistics.median(ratios))
                note = "*" if mode in each.notes else ""
                cells.append(f"{medians[mode][-1]:.2f}{note} ({min(ratios):.2f} to {max(ratios):.2f})")
            else:
                cells.append("failed" if mode in each.notes else "")
        plain = getattr(each, kind)[PLAIN]
        seconds = f"{statistics.median(plain):.2f}" if plain else "failed"
        lines.append(f"| {each.runner.suite.name} | {seconds} | {' | '.join(cells[1:])} |")
    means = [math.exp(statistics.fmean(map(math.log, medians[mode]))) for mode in modes if mode != PLAIN]
    worst = [max(medians[mode]) for mode in modes if mode != PLAIN]
    for title, numbers in (("geometric mean", means), ("worst", worst)):
        lines.append(f"| {title} | | {' | '.join(f'{number:.2f}' for number in numbers)} |")
    return lines
