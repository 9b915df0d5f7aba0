"""The work of all contexts together is that of the whole run, and each context has its own part of it."""

import threading

import pytest
from small_runs import FILE, added_lines
from taken_counts import taken_counts

from instrument.flow import placement
from instrument.link.cache import Batch
from instrument.record.contexts import ContextCounts
from instrument.record.reading import Reading
from instrument.session.session import Session


class Run:
    """Runs source in contexts: `begin` begins the next context, also from within the source."""

    def __init__(self, source="", **names):
        self.session = Session(placement.MINIMAL)
        self.reading = Reading(self.session, lambda: True, from_first_code=True)
        self.contexts = ContextCounts(self.session, "first")
        self.names = {"begin": self.contexts.begin, **names}
        if source:
            self.run(source)

    def run(self, source, *, lives_on=True):
        """Run *source* as code of a module, or as a text that can be retired if it does not live on."""
        code = compile(source, FILE, "exec")
        if lives_on:
            (live,) = self.session.instrument_existing_code([code], FILE, Batch(self.session.unlinked_code.cache()))
        else:
            live = self.session.instrument_exec_code(code, FILE)
        exec(live, self.names)

    def end(self):
        """End the last context; return the lines of each context, and those of the run."""
        self.contexts.begin("after the end")
        whole = added_lines(taken_counts(self.reading))
        return {name: self.lines_of(name) for name in self.contexts.contexts}, whole

    def lines_of(self, name):
        """Return how often each line ran in the context *name*."""
        patterns = list(self.contexts.patterns())
        lines = {}
        for number in self.contexts.contexts[name]:
            _, group, index, counts = patterns[number]
            packed = group.packed()
            info = packed.fast_path_info(index)
            frames = {unit: n for (_, unit), n in counts.in_flight.items()}
            recovered = packed.recover(index, info, counts.fired.tolist(), list(counts.exits.items()), frames)
            for line, n in recovered.lines.items() if recovered else ():
                lines[line] = lines.get(line, 0) + n
        return {line: n for line, n in lines.items() if n}


def sums(contexts):
    """Return the sum over all *contexts*, by line."""
    total = {}
    for lines in contexts.values():
        for line, n in lines.items():
            total[line] = total.get(line, 0) + n
    return total


def test_each_context_has_the_lines_that_ran_in_it():
    """A context may begin in the middle of a function: its frames are in flight then."""
    run = Run("""\
def f(x):
    if x:
        begin("second")
        return 1
    return 2
f(0)
f(1)
begin("third")
f(0)
begin("second")
f(0)
""")
    contexts, whole = run.end()
    assert contexts["first"] == {1: 1, 2: 2, 3: 1, 5: 1, 6: 1, 7: 1}
    assert contexts["second"] == {2: 1, 4: 1, 5: 1, 8: 1, 11: 1}
    assert contexts["third"] == {2: 1, 5: 1, 9: 1, 10: 1}
    assert sums(contexts) == whole


def test_generators_and_exits_are_part_of_the_context_in_which_they_go_on():
    """Exceptions leave by exits, which have counters of their own. A suspended frame is no frame in flight."""
    run = Run("""\
def g():
    for i in range(3):
        try:
            yield i
        finally:
            i += 1
def h(x):
    try:
        return 1 // x
    except ZeroDivisionError:
        raise
a = g()
next(a)
begin("second")
next(a)
for x in (0, 1, 0):
    try:
        h(x)
    except ZeroDivisionError:
        pass
begin("third")
a.close()
""")
    contexts, whole = run.end()
    assert contexts["third"] == {6: 1, 22: 1}
    assert contexts["second"][9] == 3
    assert contexts["second"][11] == 2
    assert sums(contexts) == whole


def test_text_that_is_executed_is_part_of_the_context():
    """Its code is retired once it is dropped, and its counts are banked before."""
    run = Run()
    for n in range(1500):
        run.run(f"x = {n}\n" if n % 2 else "x = 1\ny = 2\n", lives_on=False)
        if n % 500 == 250:
            run.contexts.begin(f"from {n}")
    contexts, whole = run.end()
    assert whole == {1: 1500, 2: 750} == sums(contexts)
    assert contexts["from 250"] == {1: 500, 2: 250}
    assert len(run.session.short_lived) < 1400


def test_equal_work_is_one_pattern():
    """So tests that do the same take little memory."""
    source = "def f(x):\n    return x or 1\nfor n in range(100):\n    begin(n)\n    f(n % 3)\n"
    run = Run(source)
    contexts, whole = run.end()
    assert len(contexts) == 101
    assert contexts[50] == {2: 1, 3: 1, 4: 1, 5: 1}
    assert len(list(run.contexts.patterns())) < 8
    assert sums(contexts) == whole


def test_threads_that_count_meanwhile_spoil_no_reading():
    """All readings are of one moment, so each pattern can be recovered, and none is lost."""
    stop = threading.Event()
    run = Run("def f(n):\n    for i in range(n):\n        if i % 2:\n            yield i\n")
    f = run.names["f"]

    def work():
        while not stop.is_set():
            sum(f(50))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(30):
        run.contexts.begin(str(n))
        sum(f(1000))
    stop.set()
    for thread in threads:
        thread.join()
    contexts, whole = run.end()
    assert sums(contexts) == whole
    assert whole[4] >= 30 * 500


@pytest.mark.slow
def test_many_modules_in_many_blocks_of_counters():
    """Code objects begin and end anywhere in the blocks that are compared."""
    functions = "\n".join(
        f"def f{n}(x):\n" + "".join(f"    if x == {k}:\n        x += {k}\n" for k in range(n % 7)) + "    return x"
        for n in range(600)
    )
    run = Run(functions)
    for n in range(0, 600, 7):
        run.contexts.begin(f"f{n}")
        for k in range(5):
            run.names[f"f{n}"](k)
        run.names["f599"](1)
    contexts, whole = run.end()
    assert sums(contexts) == whole
    assert all(contexts[f"f{n}"] for n in range(0, 600, 7))
