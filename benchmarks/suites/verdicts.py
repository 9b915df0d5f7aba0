"""Compares runs of a suite: plain, counted and with contexts, in one process and in two workers of xdist.

A Runner comes in. A row of numbers goes out, and a list of texts, one for each difference.

A difference counts if it remains. Some tests differ from run to run, so a pair of runs that differs is run once more.
A verdict, a line of output or a count that also differs between two runs of the same kind is not stable. The row has
the number of these. Lines of finalizers run whenever the garbage collector works, so it is off in runs whose counts
must be equal.

Counts of two workers are not those of one process: each worker imports and collects by itself, and caches fill in
another order. So each worker's tests run once more in one process, in the order of the worker. The counts of these
repetitions are the expected ones. Some tests count the frames on the stack, or recurse up to a limit. Workers have
more frames, so repetitions get as many.
"""

import collections
import json
import re
import shutil
import subprocess
from typing import NamedTuple

from suites.running import WITHIN, Ended

WORKERS = 2
#: Texts that differ from run to run, and their stand-ins.
NOISE = (
    (re.compile(r"\bin \d+\.\d+s(?: \(\d+:\d\d:\d\d\))?"), "in _s"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0x_"),
    (re.compile(r"\[gw\d\] |popen-gw\d/"), ""),
    (re.compile(r"^[.FEsxXu ]+(?:\[ *\d+%\])?$"), ""),
    (re.compile(r"^[.FEsxXu]*bringing up nodes\.\.\.$"), ""),
    # Tests that import their package from the folder of its sources run no code in the folder of installed files.
    (re.compile(r"^instrument: '.*' in the scope .* matched nothing that was run; .*$"), ""),
)
#: The most places that a text names.
N_NAMED = 8


class Told(NamedTuple):
    """A run: how it ended, its verdicts by test and phase, the tests of each worker in order, and its counts.

    *frames* is the least number of frames on the stack when a test is reported. Subtests have more.
    """

    ended: Ended
    verdicts: dict
    tests: dict
    counts: dict
    frames: int


class Comparison:
    """Compares the runs of the suite of *runner*. `row` has numbers, `differences` has texts."""

    def __init__(self, runner):
        self.runner = runner
        self.row = collections.Counter()
        self.differences = []

    def make(self):
        """Run the suite in all ways, and compare the runs."""
        plain, counted = (self.told(mode, 0) for mode in ("plain", "counted"))
        contexts = self.told("contexts", 0, collects=False)
        self.row["tests"] = len({test for test, _ in plain.verdicts})
        calls = [verdict for (_, phase), verdict in plain.verdicts.items() if phase == "call"]
        self.row["passed"] = calls.count(("passed",))
        self.row["lines"] = sum(map(len, counted.counts["lines"].values()))
        self.row["hits"] = sum(sum(lines.values()) for lines in counted.counts["lines"].values())
        self.row["contexts"] = contexts.counts["names"]
        self.compare_ends(plain, counted, "counted", 0)
        self.compare_ends(plain, contexts, "contexts", 0)
        self.compare_lines(counted, contexts)
        self.compare_sums("contexts", contexts)
        plain, workers = self.told("plain", WORKERS), self.told("contexts", WORKERS, collects=False)
        self.compare_ends(plain, workers, "contexts", WORKERS)
        self.compare_sums("contexts of workers", workers)
        self.compare_workers(contexts, workers)

    def told(self, mode, workers, tests=None, *, collects=True, more_frames=0):
        """Run the suite in this *mode*, plain, counted or contexts; with *tests* only these, in this order.

        The garbage collector works if *collects*. *more_frames* is the number of further frames on the stack.
        """
        scratch = self.runner.scratch
        answer, data, chosen = scratch / "verdicts.json", scratch / "data", scratch / "tests.json"
        answer.unlink(missing_ok=True)
        shutil.rmtree(data, ignore_errors=True)
        arguments = ["-p", "record_verdicts", "-n", str(workers), "-rA"]
        if mode != "plain":
            arguments += [f"--instrument={','.join(self.runner.suite.scope)}", "--instrument-report=none"]
        if mode == "contexts":
            arguments += ["--instrument-contexts"]
        given = {"SUITES_VERDICTS": str(answer), "INSTRUMENT_DIR": str(data), "SUITES_COLLECTS": str(int(collects))}
        if more_frames:
            given["SUITES_FRAMES"] = str(more_frames)
        if tests is not None:
            chosen.write_text(json.dumps(tests), encoding="utf-8")
            given["SUITES_TESTS"] = str(chosen)
        ended = self.runner.pytest(*arguments, **given)
        found = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else []
        verdicts, by_worker = collections.defaultdict(tuple), collections.defaultdict(dict)
        for test, phase, verdict, worker, _ in found:
            verdicts[test, phase] += (verdict,)
            by_worker[worker][test] = None
        tests = {name: [*tests] for name, tests in by_worker.items()}
        frames = min((n for *_, n in found if n), default=0)
        return Told(ended, dict(verdicts), tests, {} if mode == "plain" else self.counts(data), frames)

    def counts(self, data):
        """Return the counts in the folder *data* (`print_counts`)."""
        script = [self.runner.environment.python, "-P", str(WITHIN / "print_counts.py")]
        done = subprocess.run([*script, str(data)], capture_output=True, text=True)
        if done.returncode:
            self.differences.append(f"no counts: {done.stderr.strip().splitlines()[-1]}")
            return {"lines": {}, "contexts": {}, "tests": {}, "repeatable": {}, "names": 0, "problems": []}
        counts = json.loads(done.stdout)
        self.differences += [f"problem of the data: {problem}" for problem in counts["problems"]]
        return counts

    def compare_ends(self, plain, other, mode, workers):
        """Compare verdicts, exit status and output; if they differ, run both once more."""
        if found := differences_of_ends(plain, other):
            again = differences_of_ends(self.told("plain", workers), self.told(mode, workers))
            self.row["unstable ends"] += len(set(found) - set(again))
            remaining = [text for text in found if text in again]
            self.differences += [f"{mode}, {workers} workers: {text}" for text in remaining[:N_NAMED]]
            if remaining[N_NAMED:]:
                self.differences.append(f"{mode}, {workers} workers: {len(remaining) - N_NAMED} more")

    def compare_lines(self, counted, contexts):
        """Compare the counts of a run without contexts and of one with contexts and without the garbage collector.

        If they differ, run the suite once more without both, and compare with that run. If there are still differences,
        another such run shows the lines that differ from run to run.
        """
        if found := self.repeatable(differing(counted.counts["lines"], contexts.counts["lines"])):
            again = self.told("counted", 0, collects=False)
            remaining = self.repeatable(differing(again.counts["lines"], contexts.counts["lines"]))
            if remaining:
                third = self.told("counted", 0, collects=False)
                unstable = differing(again.counts["lines"], third.counts["lines"])
                remaining = {place: pair for place, pair in remaining.items() if place not in unstable}
            self.row["unstable lines"] += len(found.keys() - remaining.keys())
            self.name_lines("counted and contexts", remaining)

    def compare_sums(self, title, told):
        """Compare the sums of all contexts with the counts of the run."""
        self.name_lines(f"run and sum of {title}", differing(told.counts["lines"], told.counts["contexts"]))

    def compare_workers(self, one_process, workers):
        """Compare the counts of *workers* with those of a run in one process, and of repetitions of each worker."""
        of_tests = self.repeatable(differing(one_process.counts["tests"], workers.counts["tests"]))
        self.row["lines that depend on the order"] = len(of_tests)
        more_frames = workers.frames - one_process.frames
        expected = self.repeated(workers, more_frames)
        found = self.repeatable(differing(expected, workers.counts["repeatable"]))
        unstable = differing(expected, self.repeated(workers, more_frames)).keys() if found else set()
        self.row["unstable lines"] += len(found.keys() & unstable)
        self.name_lines("workers and repetitions", {place: n for place, n in found.items() if place not in unstable})

    def repeatable(self, found):
        """Return those of the lines *found* whose counts depend on the tests alone."""
        folders = tuple(f"{folder}/" for folder in self.runner.suite.repeatable)
        left_out = tuple(f"/{file}" for file in self.runner.suite.of_process)
        return {
            place: counts
            for place, counts in found.items()
            if place[0].startswith(folders) and not (left_out and place[0].endswith(left_out))
        }

    def repeated(self, workers, more_frames):
        """Run the tests of each of *workers* in one process, in order; return the sums of counts that must repeat.

        *more_frames* is the number of further frames on the stack.
        """
        sums = collections.defaultdict(collections.Counter)
        for name, tests in workers.tests.items():
            if name:
                told = self.told("contexts", 0, tests, collects=False, more_frames=more_frames)
                for file, lines in told.counts["repeatable"].items():
                    sums[file].update(lines)
        return sums

    def name_lines(self, title, found):
        """Add a text about the lines *found*, whose two counts differ."""
        if found:
            places = sorted(found.items())
            named = [f"{file}:{line}: {one} and {other}" for (file, line), (one, other) in places[:N_NAMED]]
            more = f" and {len(found) - N_NAMED} more" if len(found) > N_NAMED else ""
            self.differences.append(f"{title}: {'; '.join(named)}{more}")


def differences_of_ends(plain, other):
    """Return a text for each verdict that differs, for the exit status, and for each line of output that differs."""
    found = []
    if plain.ended.status != other.ended.status:
        found.append(f"exit status {other.ended.status}, plain {plain.ended.status}")
    for key in sorted(plain.verdicts.keys() | other.verdicts.keys()):
        one, two = (told.verdicts.get(key, ("missing",)) for told in (plain, other))
        if one != two:
            found += [f"{' '.join(key)}: {' '.join(two)}, plain {' '.join(one)}"]
    lines_of_plain, lines_of_other = (collections.Counter(map(without_noise, told.ended.output.splitlines()))
                                      for told in (plain, other))
    found += [f"not in the output: {line}" for line in lines_of_plain - lines_of_other if line]
    found += [f"only in the output: {line}" for line in lines_of_other - lines_of_plain if line]
    return found


def without_noise(line):
    """Return *line* of an output with stand-ins for texts that differ from run to run."""
    for pattern, text in NOISE:
        line = pattern.sub(text, line)
    return line


def differing(one, other):
    """Return {(file, line): (count, other count)} of the lines whose counts differ."""
    by_place = [{(file, int(line)): n for file, lines in counts.items() for line, n in lines.items() if n}
            for counts in (one, other)]
    pairs = {place: (by_place[0].get(place, 0), by_place[1].get(place, 0)) for each in by_place for place in each}
    return {place: pair for place, pair in pairs.items() if pair[0] != pair[1]}
