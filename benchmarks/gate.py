"""Measure `instrument gate`: count its false alarms, and the regressions that it finds.

    python benchmarks/gate.py stability --env ~/.cache/instrument-gate                ten suites, ten runs each
    python benchmarks/gate.py regressions --env ~/.cache/instrument-gate              sixty regressions
    python benchmarks/gate.py stability --env ~/.cache/instrument-gate --packages toolz --runs 3

`stability` runs the tests of each package again and again, each time with another hash seed and with other work on the
machine. Each run is compared with the one before it, alone and with further runs as `--rerun` and `--rerun-base`. "2+1"
are two further runs of HEAD and one of BASE. A comparison that fails is a false alarm.

`regressions` puts a regression into a function that the tests call (`regressions.py`). The gate compares a run before
it with a run after it. A regression is found if the first causes of some growth have its function and its line. If
all growth above the bounds has other causes, the gate gets further runs, as `--stability-runs` makes them. If no growth
is above its bound, the regression is listed, and one in the next function takes its place.

All bounds are the defaults of the gate. Runs that are in the folder are not repeated. So an interrupted measurement
goes on, and a changed gate is measured on the same data.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import no_harm
from overhead import machine
from peers.environment import Environment
from regressions import KINDS, functions_of, regression

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from instrument.analysis.gate.bounds import Bounds  # noqa: E402
from instrument.analysis.gate.runs import Run, compare  # noqa: E402
from instrument.analysis.patterns import FilePatterns  # noqa: E402
from instrument.commands.gating import gate  # noqa: E402
from instrument.data.query import StoredMeasurement  # noqa: E402
from instrument.report.gate import gate_json  # noqa: E402

#: For each package the folder of its tests, the packages that the tests need, and further arguments of pytest.
TESTED = {
    **{
        package: (tests, needs, no_harm.SELECTED.get(package.partition("==")[0], []))
        for package, (tests, needs) in no_harm.PACKAGES.items()
    },
    "itsdangerous==2.2.0": ("tests", ["freezegun"], []),
    # One class is no test, and its collection fails.
    "markdown==3.10": ("tests", ["pyyaml"], ["--continue-on-collection-errors"]),
    "tabulate==0.9.0": ("test", [], []),
    # That module needs a submodule of the repository.
    "tomlkit==0.13.3": ("tests", [], ["--ignore=tests/test_toml_spec_tests.py"]),
}
# The tests of bytecode need another version of the package than `instrument` does.
NAMES = {package.partition("==")[0]: package for package in TESTED if not package.startswith("bytecode")}
#: A function that is called less often makes a small regression, which mostly is below the bounds.
FEWEST_CALLS = 20
#: Further runs of HEAD, at most, if growth above a bound has other causes than the regression.
STABILITY_RUNS = 2
#: How many lines the gate prints for each cause, and how many causes.
FIRST = 3
#: Other work on the machine: so many processes that never rest, in turn.
LOADS = (0, 1)
SECONDS = 1800
#: Variables with these beginnings would have an effect on the tests. With CI, Hypothesis draws the same examples.
FOREIGN = ("INSTRUMENT", "PYTEST", "CI")


class Suite:
    """A copy of the package *name* with its tests, for one *purpose*, and the data of its runs, in *environment*."""

    def __init__(self, environment, name, purpose):
        package = NAMES[name]
        tests, needs, arguments = TESTED[package]
        source, installed = environment.package(package, needs)
        self.name = name
        self.environment = environment
        self.folder = environment.folder / purpose / name
        self.words = [tests, *arguments]
        self.source, self.installed = self.folder / "source", self.folder / "installed"
        if not self.installed.exists():
            shutil.copytree(source, self.source, dirs_exist_ok=True)
            shutil.copytree(installed, self.installed, dirs_exist_ok=True)

    def run(self, data, seed, load):
        """Run the tests with a hash *seed* beside *load* busy processes, unless there are *data*; return the verdicts.

        *data* is the folder of the data, relative to that of the suite. Verdicts are numbers by name, such as
        {"passed": 12}. Raise RuntimeError if pytest did not come to an end.
        """
        folder = self.folder / data
        told = folder.with_suffix(".json")
        if told.exists():
            return json.loads(told.read_text(encoding="utf-8"))
        shutil.rmtree(folder, ignore_errors=True)
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
            "PYTHONPATH": str(self.installed),
            "PYTHONHASHSEED": str(seed),
            "INSTRUMENT_DIR": str(folder),
            # Examples of Hypothesis from earlier runs would make runs differ, which a fresh checkout does not.
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "hypothesis"),
        }
        shutil.rmtree(self.folder / "hypothesis", ignore_errors=True)
        words = [
            self.environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            f"--instrument={self.installed},{self.source}", "--instrument-contexts", "--instrument-report=none",
            *self.words,
        ]
        with busy(load):
            done = subprocess.run(
                words, cwd=self.source, env=variables, capture_output=True, text=True, timeout=SECONDS
            )
        last = next((line for line in reversed(done.stdout.splitlines()) if " in " in line), "")
        if done.returncode not in (0, 1) or not last:
            raise RuntimeError(f"{self.name}: pytest failed: {(done.stdout + done.stderr)[-500:]}")
        parts = last.strip("= ").rpartition(" in ")[0].split(", ")
        verdicts = {word: int(number) for number, word in (part.split(" ", 1) for part in parts)}
        verdicts = {word: number for word, number in verdicts.items() if "warning" not in word}
        told.write_text(json.dumps(verdicts), encoding="utf-8")
        return verdicts

    def read(self, data):
        """Return the Run in *data*, a folder relative to that of the suite."""
        with StoredMeasurement([str(self.folder / data)]) as stored:
            return Run(stored, FilePatterns(), data)

    def functions(self, data):
        """Return the functions of the package that *data* has FEWEST_CALLS of, as (path, name), sorted.

        Functions of tests are left out.
        """
        words = [sys.executable, "-m", "instrument", "json", data, "-o", "-"]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, cwd=self.folder, env=variables, capture_output=True, text=True, check=True)
        found = []
        for file in json.loads(done.stdout)["files"]:
            parts = Path(os.path.relpath(file["path"], self.folder)).parts
            if {"tests", "testing", "test"} & {*parts} or not Path(file["path"]).is_relative_to(self.folder):
                continue
            if Path(file["path"]).name in ("conftest.py", "setup.py"):
                continue
            takes = {*functions_of(Path(file["path"]).read_text(encoding="utf-8"))}
            ran = {each["name"].replace(".<locals>", "") for each in file["functions"] if each["calls"] >= FEWEST_CALLS}
            found += [(file["path"], name) for name in takes & ran]
        return sorted(found)


def verdict_of(base, head, reruns=(), reruns_of_base=()):
    """Return the JSON document of the gate about the Runs *base* and *head*, within the default bounds.

    *reruns* are further runs of *head*, and *reruns_of_base* of *base*.
    """
    parser = argparse.ArgumentParser()
    gate.add_arguments(parser)
    options = parser.parse_args([base.name, head.name])
    bounds = Bounds(options.max_growth, gate.bound_of_tests(options, base, head), None, options.floor)
    verdict = compare(base, head, options.unit, bounds, reruns=reruns, reruns_of_base=reruns_of_base)
    return gate_json.document_of(verdict)


@contextlib.contextmanager
def busy(number):
    """Keep *number* processes busy inside the block."""
    script = "import os; os.nice(5)\nwhile True: pass"
    workers = [subprocess.Popen([sys.executable, "-S", "-c", script]) for _ in range(number)]
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def measure_stability(suite, n_runs, n_reruns):
    """Run *suite* *n_runs* times, and print a row: false alarms without reruns, and with each of `reruns_to_try`.

    Return the numbers of false alarms by the numbers of reruns.
    """
    verdicts = [suite.run(f"run-{number}", number, LOADS[number % len(LOADS)]) for number in range(n_runs)]
    data = [suite.read(f"run-{number}") for number in range(n_runs)]
    tests, growth, alarms, left_out, reasons = 0, 0.0, collections.Counter(), collections.Counter(), []
    for number in range(1, n_runs):
        for n in reruns_to_try(n_reruns):
            further = [data[(number + 1 + each) % n_runs] for each in range(n[0])]
            further_of_base = [data[(number - 2 - each) % n_runs] for each in range(n[1])]
            document = verdict_of(data[number - 1], data[number], further, further_of_base)
            alarms[n] += not document["passed"]
            left_out[n] += len(document["unstable_tests"])
            tests = max(tests, len(document["tests"]) + len(document["unstable_tests"]))
            if n == (0, 0):
                total = document["total"]
                growth = max(growth, abs(total["after"] / total["before"] - 1))
            for failure in document["failures"]:
                cause = failure["causes"][0] if failure["causes"] else None
                place = f"{os.path.relpath(cause['path'], suite.folder)}:{cause['line']}" if cause else "no cause"
                change = f"{failure['before']} -> {failure['after']}"
                reasons.append((words_of(n), number, failure["subject"], failure["name"] or "", change, place))
    print(f"{suite.name:16}{tests:>7}{n_runs - 1:>7}{growth:>10.3%}"
          + "".join(f"{alarms[n]:>8}{left_out[n] / (n_runs - 1):>7.1f}" for n in reruns_to_try(n_reruns)))
    if any(each != verdicts[0] for each in verdicts):
        print(f"    verdicts differ from run to run: {verdicts}")
    for n, number, subject, test, change, place in reasons:
        print(f"    {n} reruns, run {number}: {subject} {test}: {change}: {place}", flush=True)
    return alarms


def reruns_to_try(most):
    """Return pairs, the numbers of further runs of HEAD and of BASE: up to *most*, of HEAD alone, then of both."""
    return [(n, 0) for n in range(most + 1)] + [(n, n) for n in range(1, most + 1)]


def words_of(n):
    """Return the pair *n* of `reruns_to_try` as text."""
    return f"{n[0]}+{n[1]}"


def stability(environment, options):
    """Print false alarms of all packages of *options*; return 1 if there are any with the most reruns, else 0."""
    print(f"{'package':16}{'tests':>7}{'pairs':>7}{'largest':>10}"
          + "".join(f"{words_of(n):>8}{'out':>7}" for n in reruns_to_try(options.reruns)))
    total = collections.Counter()
    for name in options.packages:
        total.update(measure_stability(Suite(environment, name, "stability"), options.runs, options.reruns))
    print(f"{'all':40}" + "".join(f"{total[n]:>8}{'':7}" for n in reruns_to_try(options.reruns)))
    return int(bool(total[reruns_to_try(options.reruns)[-1]]))


def regressions(environment, options):
    """Print for each regression whether the gate finds it; return 1 if fewer than 95 % are found, else 0."""
    found, by_kind, by_package = collections.Counter(), collections.Counter(), collections.Counter()
    pending = {}
    for number in range(options.number):
        name = options.packages[number % len(options.packages)]
        kind = KINDS[number // len(options.packages) % len(KINDS)]
        if name not in pending:
            suite = Suite(environment, name, "regressions")
            suite.run("run-0", 0, 0)
            functions = suite.functions("run-0")
            random.Random(f"{options.seed} {name}").shuffle(functions)
            pending[name] = suite, functions
        suite, functions = pending[name]
        outcome = SMALL
        while outcome == SMALL:
            outcome, text = inject(suite, functions, kind, number)
            found[outcome] += 1
            by_kind[kind, outcome] += 1
            by_package[name, outcome] += 1
            print(f"{number + 1:>4} {name:16}{kind:26}{outcome:16}{text}", flush=True)
    for title, counts in (("kind", by_kind), ("package", by_package)):
        print(f"\n{title:26}{'injected':>9}" + "".join(f"{each:>16}" for each in OUTCOMES))
        for key in dict.fromkeys(key for key, _outcome in counts):
            row = [counts[key, each] for each in OUTCOMES]
            print(f"{key:26}{sum(row):>9}" + "".join(f"{n:>16}" for n in row))
    print(f"{'all':26}{sum(found.values()):>9}" + "".join(f"{found[each]:>16}" for each in OUTCOMES))
    return int(found[FOUND] < 0.95 * options.number)


FOUND, MISSED, SMALL = "found", "not named", "below bounds"
OUTCOMES = (FOUND, MISSED, SMALL)


def inject(suite, functions, kind, number):
    """Put a regression of *kind* into the next of *functions* whose tests still pass; return the outcome and a text.

    - FOUND: a growth is above its bound, and has the line among its first causes.
    - MISSED: a growth is above its bound, and none has the line among its first causes.
    - SMALL: no growth is above its bound.
    """
    while True:
        path, name = functions.pop()
        module = Path(path)
        source = module.read_text(encoding="utf-8")
        change = regression(source, name, kind)
        data = f"{kind.replace(' ', '-')}-{number}-{module.stem}-{name.replace('.', '-')}"
        try:
            verdicts = [suite.run("run-0", 0, 0)]
            for version, text, seed in (("before", change.before, 2 * number), ("after", change.after, 2 * number + 1)):
                for cached in (module.parent / "__pycache__").glob(f"{module.stem}.*"):
                    cached.unlink()
                module.write_text(text, encoding="utf-8")
                verdicts.append(suite.run(f"{data}-{version}", seed, 0))
            if verdicts.count(verdicts[0]) == len(verdicts):
                # The gate reads the texts of lines in the file, so the file is still the version that ran.
                before, after, further = suite.read(f"{data}-before"), suite.read(f"{data}-after"), []
                while True:
                    outcome, text = outcome_of(verdict_of(before, after, further), change, path, suite.folder)
                    if outcome != MISSED or len(further) == STABILITY_RUNS:
                        return outcome, f"{text}, {len(further)} further runs"
                    again = f"{data}-again-{len(further)}"
                    suite.run(again, 1000 + len(further), 0)
                    further.append(suite.read(again))
        except RuntimeError:
            pass  # the function runs before the end of its module, where the helpers are
        finally:
            module.write_text(source, encoding="utf-8")


def outcome_of(document, change, path, folder):
    """Return the outcome, and a text about it, of the *change* in the module at *path*, which is in *folder*."""
    name = os.path.relpath(path, folder)
    total, failures = document["total"], document["failures"]
    ranks = [rank for failure in failures if (rank := rank_of(change, path, failure["causes"]))]
    growth = total["after"] / total["before"] - 1
    text = f"{name}:{change.line} {change.function} ({growth:+.3%}, {len(failures)} failures)"
    if ranks:
        return FOUND, f"{text} cause {min(ranks)}"
    if failures:
        return MISSED, text
    return SMALL, f"{text} cause {rank_of(change, path, document['causes'])}"


def rank_of(change, path, causes):
    """Return the rank of the first of *causes* that has the function and line of *change*; None if none has.

    Only causes and lines that the gate prints count.
    """
    for rank, cause in enumerate(causes[:FIRST], start=1):
        is_there = cause["path"] == path and cause["function"]["name"].replace(".<locals>", "") == change.function
        if is_there and cause["line"] == change.line:
            return rank
        lines = [(each["path"], each["line"]) for each in cause["lines"][: FIRST - 1]]
        if is_there and (path, change.line) in lines:
            return rank
    return None


def main():
    """Carry out the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("stability", "regressions"))
    parser.add_argument("--env", required=True, help="folder of the virtual environment, the packages and the data")
    parser.add_argument("--packages", nargs="+", choices=sorted(NAMES), default=sorted(NAMES), help="default: all")
    parser.add_argument("--runs", type=int, default=10, help="runs of each package (default: %(default)s)")
    parser.add_argument("--reruns", type=int, default=2, help="further runs of each, at most (default: %(default)s)")
    parser.add_argument("--number", type=int, default=60, help="regressions in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of functions (default: %(default)s)")
    options = parser.parse_args()
    environment = Environment(options.env, ROOT, lambda text: print(f"({text})", file=sys.stderr))
    environment.pip("install", "--root-user-action=ignore", "--force-reinstall", "--no-deps", str(ROOT))
    print(f"{', '.join(machine())}\n")
    return {"stability": stability, "regressions": regressions}[options.what](environment, options)


if __name__ == "__main__":
    sys.exit(main())
