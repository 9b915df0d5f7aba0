"""What pyperformance's programs find when they import pyperf: as many loops as we say, timed in CPU seconds.

Loops come in; the seconds of the benchmarks' own work, and what they returned, go out. The real pyperf would start
processes of its own, and calibrate each of them by itself.
"""

import argparse
import asyncio
import itertools
import platform
import types
from time import process_time


class Runs:
    """What the benchmarks of one program have taken and returned so far. *imported* is called before the first."""

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
    """Return a module to be put in the place of pyperf, whose benchmarks do and tell *runs*."""

    class Runner:
        def __init__(self, add_cmdline_args=None, **ignored):
            self.metadata = {}
            self.argparser = argparse.ArgumentParser()
            self.args = None

        def parse_args(self, args=None):
            self.args = self.argparser.parse_args(args)
            return self.args

        def bench_time_func(self, name, time_func, *args, inner_loops=None, **ignored):
            """Let the program time itself, with our clock."""
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
