"""Are all tests that fail after a change among the tests that `instrument affected` prints?

    python benchmarks/affected.py --packages sqlparse toolz --mutations 20

For each package: its sources and tests become a git repository, and its tests run once with `--instrument-contexts`.
Then one mutation at a time is made (`mutations.py`), the affected tests are found, and all tests run, unless all
are affected. A test that passed before, and does not pass now, must be among the affected ones. If it is not, it runs
once more alone: if it passes then, it fails only after other tests.

The packages are sdists below --packages-folder, as `benchmarks/peers.py` unpacks them: NAME/source/NAME-VERSION.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutations import KINDS, mutations

from instrument.analysis.affected.finding import find_affected
from instrument.analysis.affected.verdict import Verdict
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement

#: For each package: the folder that its modules are imported from, its modules, its tests, and the short test modules.
PACKAGES = {
    "sqlparse": (".", ["sqlparse"], "tests", ["test_parse", "test_grouping", "test_split", "test_tokenize"]),
    "toolz": (".", ["toolz"], "toolz/tests", ["test_dicttoolz", "test_itertoolz", "test_functoolz", "test_recipes"]),
    "boltons": (".", ["boltons"], "tests", ["test_iterutils", "test_strutils", "test_dictutils", "test_cacheutils"]),
    "click": ("src", ["src/click"], "tests", ["test_options", "test_arguments", "test_formatting", "test_commands"]),
    "jinja2": ("src", ["src/jinja2"], "tests", ["test_filters", "test_lexnparse", "test_core_tags", "test_loader"]),
}
#: The share of mutations in the sources of tests.
IN_TESTS = 0.15
#: A mutation may loop for ever: it may take so many seconds, and so many times as long as the plain run.
LEAST_TIME, TIMES = 60, 4
#: Folders with sources that the tests do not run.
UNUSED = ("sandbox", "examples", "benchmark")
_SETTINGS = ("INSTRUMENT", "PYTEST", "PYTHON")
#: A plugin of pytest that writes the outcome of each test.
OUTCOMES = '''
import json, os

OUTCOMES = {}


def pytest_runtest_logreport(report):
    if report.outcome == "failed":
        OUTCOMES[report.nodeid] = "failed"
    else:
        OUTCOMES.setdefault(report.nodeid, "passed")


def pytest_sessionfinish():
    with open(os.environ["OUTCOMES_FILE"], "w") as file:
        json.dump(OUTCOMES, file)
'''


class Suite:
    """The repository of the package *name* in *folder*, a copy of its sdist in *packages*.

    Its *whole* suite is run, or only short test modules.
    """

    def __init__(self, name: str, packages: Path, folder: Path, *, whole: bool) -> None:
        self.name = name
        path, self.modules, self.tests, quick = PACKAGES[name]
        self.arguments = [self.tests] if whole else [f"{self.tests}/{module}.py" for module in quick]
        [source] = [each for each in (packages / name / "source").iterdir() if each.is_dir()]
        self.folder = folder / name
        shutil.copytree(source, self.folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".git"))
        self.timeout: float | None = None
        self.plugin = folder / f"{name}-plugin"
        self.plugin.mkdir()
        (self.plugin / "outcomes_of_tests.py").write_text(OUTCOMES)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(_SETTINGS)},
            "PYTHONPATH": os.pathsep.join([str(self.folder / path), str(self.plugin)]),
            "PYTHONHASHSEED": "0",
            "OUTCOMES_FILE": str(self.plugin / "outcomes.json"),
        }
        git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
        for arguments in (["init", "-q"], ["add", "-A", "-f"], ["commit", "-q", "-m", "The sdist"]):
            subprocess.run([*git, *arguments], cwd=self.folder, check=True)

    def record(self) -> None:
        """Count all tests, each apart, without the plugin for outcomes: its code would belong to each test."""
        options = ["--instrument", "--instrument-contexts", "--instrument-report=none", *self.arguments]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True)

    def run(self, tests: list[str] | None = None) -> dict[str, str] | None:
        """Run *tests*, by default all; return the outcomes, None if it takes too long."""
        file = self.plugin / "outcomes.json"
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "outcomes_of_tests"]
        command += self.arguments if tests is None else tests
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=self.timeout
            )
        except subprocess.TimeoutExpired:
            return None
        if done.returncode not in (0, 1, 2):
            print(done.stdout[-2000:], done.stderr[-2000:], sep="\n", file=sys.stderr)
        return json.loads(file.read_text()) if file.exists() else {}

    def affected(self) -> Verdict:
        """Return the affected tests, as the command `instrument affected` finds them."""
        with StoredMeasurement([str(self.folder / ".instrument")]) as stored:
            return find_affected(stored, str(self.folder), "", FilePatterns()).verdict

    def sources(self, *, of_tests: bool) -> list[Path]:
        """Return the sources of the package, or those of its tests."""
        tests = self.folder / self.tests
        if of_tests:
            found = [file for path in self.arguments for file in (self.folder / path).rglob("*.py")]
            found += [self.folder / path for path in self.arguments if path.endswith(".py")]
            return sorted(file for file in found if not set(UNUSED) & set(file.parts))
        found = [file for module in self.modules for file in (self.folder / module).rglob("*.py")]
        return sorted(file for file in found if tests not in file.parents and not set(UNUSED) & set(file.parts))


def chosen(suite: Suite, n: int, chance: random.Random):
    """Yield files and mutations, the kinds in turn, many more than *n*: mutations that loop are left out."""
    lists = {}
    for of_tests in (False, True):
        for file in suite.sources(of_tests=of_tests):
            for mutation in mutations(file.read_text(encoding="utf-8")):
                lists.setdefault((of_tests, mutation.kind), []).append((file, mutation))
    kinds = ("function body", *KINDS)  # most changes are in functions
    for number in range(100 * n):
        of_tests = chance.random() < IN_TESTS
        candidates = lists.get((of_tests, kinds[number % len(kinds)]))
        if candidates:
            yield candidates[chance.randrange(len(candidates))]


def measure(suite: Suite, n: int, seed: int, *, verbose: bool) -> dict:
    """Return the row of the table for *n* mutations of *suite*."""
    begin = time.monotonic()
    before = suite.run()
    seconds = time.monotonic() - begin
    suite.record()
    suite.timeout = max(LEAST_TIME, TIMES * seconds)
    assert before, f"the tests of {suite.name} did not run"
    passed = {test for test, outcome in before.items() if outcome == "passed"}
    unchanged = suite.affected()
    row = dict.fromkeys(("mutations", "run", "killed", "failing", "all"), 0)
    row |= {"package": suite.name, "tests": len(before), "misses": []}
    row |= {"after others": 0, "shares": [], "seconds": [], "unchanged": len(unchanged.affected), "why": []}
    if unchanged.reasons_for_all:
        print(f"{suite.name}: unchanged, and all: {unchanged.reasons_for_all[:3]}", file=sys.stderr)
    for file, mutation in chosen(suite, n, random.Random(f"{seed} {suite.name}")):
        if row["mutations"] == n:
            break
        original, original_time = file.read_bytes(), int(file.stat().st_mtime)
        mutated = mutation.mutated(original.decode())
        if mutated is None:
            continue
        place = f"{file.relative_to(suite.folder)}:{mutation.start[0]}: -> {mutation.after!r} ({mutation.kind})"
        try:
            file.write_bytes(mutated.encode())
            # Bytecode belongs to a source of one size and one time: each mutation has a time of its own.
            moment = original_time + 10 * (len(row["seconds"]) + 1)
            os.utime(file, (moment, moment))
            begin = time.perf_counter()
            verdict = suite.affected()
            row["seconds"].append(time.perf_counter() - begin)
            after = None
            if len(affected_in(verdict)) < row["tests"]:
                after = suite.run()
                if after is None:
                    continue  # it loops
            add(row, suite, verdict, passed, after, place)
        finally:
            file.write_bytes(original)
            os.utime(file, (original_time, original_time))
        if verbose:
            print(f"{place}: {row['why'][-1]}", file=sys.stderr, flush=True)
    return row


def add(row: dict, suite: Suite, verdict: Verdict, passed: set[str], after: dict[str, str] | None, place: str) -> None:
    """Add to *row* the outcomes *after* a mutation at *place*, None without a run, and the tests of *verdict*."""
    failing = {test for test in passed if after.get(test) != "passed"} if after is not None else set()
    affected = affected_in(verdict)
    row["run"] += after is not None
    row["mutations"] += 1
    row["killed"] += bool(failing)
    row["failing"] += len(failing)
    row["all"] += bool(verdict.reasons_for_all)
    row["shares"].append(len(affected) / row["tests"])
    missed = sorted(failing - affected)
    if missed:
        # A run that stops at an error of the collection has no outcomes at all.
        alone = {test: (suite.run(tests=[test]) or {}).get(test) for test in missed[:20]}
        after_others = [test for test, outcome in alone.items() if outcome == "passed"]
        row["after others"] += len(after_others)
        row["misses"] += [(place, test) for test in missed if test not in after_others]
    row["why"].append(f"{len(failing)} fail, {len(affected)} affected, {len(missed)} missed: {missed[:3]}")


def affected_in(verdict: Verdict) -> set[str]:
    """Return the affected tests of *verdict*."""
    return {*(verdict.known if verdict.reasons_for_all else verdict.affected)}


def print_table(rows: list[dict]) -> None:
    """Print a row for each package, in Markdown."""
    heads = ["package", "tests", "mutations", "run", "killed", "failures", "affected", "all", "seconds"]
    heads += ["only after others", "misses"]
    print(f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|", sep="\n")
    for row in rows:
        numbers = [f"{row[key]:,}" for key in ("tests", "mutations", "run", "killed", "failing")]
        numbers += [f"{sum(row['shares']) / len(row['shares']):.0%}", f"{row['all']}"]
        numbers += [f"{sorted(row['seconds'])[len(row['seconds']) // 2]:.1f}"]
        numbers += [f"{row['after others']}", f"{len(row['misses'])}"]
        print(f"| {row['package']} | {' | '.join(numbers)} |")
    for row in rows:
        for place, test in row["misses"]:
            print(f"missed in {row['package']}: {place}: {test}")


def main() -> None:
    """Measure the packages of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=[*PACKAGES])
    parser.add_argument("--packages-folder", type=Path, required=True, help="the folder with the sdists")
    parser.add_argument("--mutations", type=int, default=20, metavar="N", help="of each package (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="run all tests, not only short test modules")
    parser.add_argument("--verbose", action="store_true", help="print each mutation")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.packages:
            suite = Suite(name, arguments.packages_folder, Path(folder), whole=arguments.whole)
            rows.append(measure(suite, arguments.mutations, arguments.seed, verbose=arguments.verbose))
    print_table(rows)
    sys.exit(any(row["misses"] for row in rows))


if __name__ == "__main__":
    main()
