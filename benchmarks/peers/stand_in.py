"""Stands for pyperf in pyperformance's programs: runs a fixed number of loops and takes CPU seconds.

Loops come in, the seconds of the benchmarks' own work and their results go out. The real pyperf would start processes
of its own, and calibrate each of them.
"""

import argparse
import asyncio
import itertools
import platform
import types
from time import process_time


class Runs:
    """The seconds and the results of a program's benchmarks so far. *imported* is called before the first benchmark."""

    def __init__(self, loops, imported):
        self.loops = loops
        self.seconds = 0.0
        self.returned = []
        self._imported = imported

    def ready(self):
        if self._imported is not None:
            self._imported()
            self._imported = None


def make(runs):
    """Return a module that replaces pyperf; its benchmarks follow *runs*, and add their results to it."""

    class Runner:
        def __init__(self, add_cmdline_args=None, **ignored):
            self.metadata = {}
            self.argparser = argparse.ArgumentParser()
            self.args = None

        def parse_args(self, args=None):
            self.args = self.argparser.parse_args(args)
            return self.args

        def bench_time_func(self, name, time_func, *args, inner_loops=None, **ignored):
            """Have the program time itself, with CPU seconds."""
            runs.ready()
            time_func(1, *args)
            runs.seconds += time_func(runs.loops, *args)

        def bench_func(self, name, func, *args, inner_loops=None, **ignored):
            runs.ready()
            func(*args)
            begin = process_time()
            for _ in itertools.repeat(None, runs.loops):
                value = func(*args)
            runs.seconds += process_time() - begin
            runs.returned.append(value)

        def bench_async_func(self, name, func, *args, loop_factory=None, **ignored):
            runs.ready()

            async def timed():
                await func(*args)
                begin = process_time()
                for _ in itertools.repeat(None, runs.loops):
                    value = await func(*args)
                runs.seconds += process_time() - begin
                runs.returned.append(value)

            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(timed())

    module = types.ModuleType("pyperf", __doc__)
    module.Runner = Runner
    module.perf_counter = process_time
    module.python_implementation = lambda: platform.python_implementation().lower()
    return module
