"""Measure how long a flush holds up the program, and whether memory and data grow in a long run.

A program with many counters (`--counters`, 100,000) is recorded with a flush each second (`--flush`). Its main thread
is always busy: it calls all functions in each interval of the first part, and a few in the second. Meanwhile it notes
the longest time between two readings of the clock. The same loop without flushes shows the noise of the machine. The
script prints the longest pauses, the durations of flushes, and memory and size of the data file over time.
`--minutes 20` makes a long run.

    python benchmarks/flush.py [--counters N] [--flush SECONDS] [--minutes N]
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from _thread import get_ident
from glob import glob
from pathlib import Path
from time import monotonic, perf_counter, process_time, thread_time

FUNCTION = """
def f{n}(a):
    total = 0
    for i in range(3):
        if a % 2:
            total += i
        elif a % 3:
            total -= i
        else:
            total += 2 * i
    while total > 2:
        total -= 2
    if a > 5:
        total += 1
    if a > 6:
        total += 1
    return total
"""
PER_MODULE = 200


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def make(folder: Path, n_modules: int) -> list[str]:
    """Write *n_modules* modules to *folder* and return their names."""
    names = []
    for m in range(n_modules):
        name = f"busy{m:04}"
        (folder / f"{name}.py").write_text("".join(FUNCTION.format(n=n) for n in range(PER_MODULE)))
        names.append(name)
    return names


class Clock:
    """Notes the longest times between two readings, and how long other threads of this process ran in between.

    Flushes cause the time of other threads. Other programs on this machine may cause the rest.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget all readings."""
        self.gaps: list[float] = []
        self.ours: list[float] = []
        self.last, self.others = perf_counter(), process_time() - thread_time()

    def look(self) -> None:
        """Read the clock, and note the time since the last reading."""
        now = perf_counter()
        if now - self.last > 0.0005:
            others = process_time() - thread_time()
            self.gaps.append(now - self.last)
            self.ours.append(others - self.others)
            self.others = others
        self.last = now

    def __str__(self) -> str:
        longest = (sorted(times)[:-4:-1] for times in (self.ours, self.gaps))
        ours, gaps = (", ".join(f"{1000 * gap:.2f}" for gap in times) or "0" for times in longest)
        return f"{ours} ms by us, {gaps} ms in all"


def run(functions: list, clock: Clock, seconds: float, every: int) -> int:
    """Call *functions*, one of *every*, again and again for so many *seconds*; return the number of calls."""
    n = 0
    end = monotonic() + seconds
    part = functions[::every]
    clock.restart()
    while monotonic() < end:
        for function in part:
            function(n)
            n += 1
            clock.look()
    return n


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counters", type=int, default=100_000)
    parser.add_argument("--flush", type=float, default=1.0)
    parser.add_argument("--minutes", type=float, default=0.2, help="length of the run (default: 12 seconds)")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        data = str(folder / "data")
        os.environ.setdefault("INSTRUMENT_CACHE", str(folder / "cache"))
        from instrument.config import Settings
        from instrument.record import flushing, recorder

        # A function of this shape has so many counters, about; the first module tells how many exactly.
        sys.path.insert(0, name)
        make(folder, 1)
        settings = Settings(scope=(name,), directory=data, flush=options.flush, signal=None, placement="minimal")
        recording = recorder.start(settings)
        importlib.import_module("busy0000")
        counters = recording._session.counters
        n_modules = max(1, options.counters // len(counters))
        modules = [importlib.import_module(name) for name in make(folder, n_modules)]
        functions = [getattr(module, f"f{n}") for module in modules for n in range(PER_MODULE)]
        print(f"Python {sys.version.split()[0]}, {len(functions):,} functions, {len(counters):,} counters")

        took: list[float] = []
        original = recording._flush

        def timed(how: str = "") -> bool:
            began = perf_counter()
            try:
                return original(how)
            finally:
                took.append(perf_counter() - began)

        recording._flush = timed  # type: ignore[method-assign]
        stretches: list[float] = []
        rest, woke = flushing.sleep, [0.0, 0.0]

        def timed_rest(seconds: float) -> None:
            if get_ident() == woke[0]:
                stretches.append(thread_time() - woke[1])
            rest(seconds)
            woke[:] = get_ident(), thread_time()

        flushing.sleep = timed_rest
        clock = Clock()
        rounds = max(1, int(options.minutes * 60 / (3 * 4)))
        began = monotonic()
        for number in range(rounds):
            report = [f"{monotonic() - began:7.0f} s"]
            for what, every in (("all", 1), ("a few", 100)):
                took.clear()
                stretches.clear()
                run(functions, clock, 4, every)
                flushes = ", ".join(f"{1000 * one:.0f}" for one in took)
                report.append(f"{what} running: longest pauses {clock} (flushes took {flushes} ms)")
                longest = ", ".join(f"{1000 * one:.2f}" for one in sorted(stretches)[:-4:-1]) or "none"
                report.append(f"    at a stretch, in CPU time: {longest} ms")
            recording.flush()
            recording._next = monotonic() + 3600
            run(functions, clock, 4, 1)
            recording._next = monotonic()
            report.append(f"no flush: {clock}")
            files = glob(f"{data}/*.sqlite")
            size = sum(os.path.getsize(file) for file in files) / 2**20
            report.append(f"memory {resident():.1f} MiB, {len(files)} file of {size:.2f} MiB")
            if rounds < 10 or number % (rounds // 10) == 0:
                print("\n    ".join(report), flush=True)
        recording.stop()


if __name__ == "__main__":
    main()
