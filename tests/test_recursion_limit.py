"""At the recursion limit, where no function can be called any more, each line and each exit is still counted.

`trace` is no oracle here: its own function cannot be called either, and tracing ends. So the program counts itself:
each line that is compared adds one to a number of its own, without a call.
"""

import re
import sys

import pytest
from recorded import Tree

import instrument

PROGRAM = '''
import sys, threading, types

KINDS = """
def closed(seen):
    try:
        seen[0] += 1
        yield
        seen[1] += 1
    finally:
        seen[2] += 1
def handles(seen):
    try:
        seen[3] += 1
        yield
    except GeneratorExit:
        seen[4] += 1
        try:
            seen[5] += 1
            len(seen)
            seen[6] += 1
        except RecursionError:
            seen[7] += 1
        raise
def delegates(seen):
    try:
        seen[8] += 1
        yield from handles(seen)
    finally:
        seen[9] += 1
class Manager:
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        self.seen[10] += 1
def within(seen, manager=Manager()):
    manager.seen = seen
    with manager:
        seen[11] += 1
        yield
async def awaits(seen):
    try:
        seen[12] += 1
        await suspends()
    finally:
        seen[13] += 1
async def asynchronous(seen):
    try:
        seen[14] += 1
        await suspends()
        yield
    finally:
        seen[15] += 1
def calls(seen):
    try:
        seen[16] += 1
        len(seen)
        seen[17] += 1
        for x in map(plain, seen[:1]):
            seen[18] += 1
        seen[19] += 1
        [].sort()
        seen[20] += 1
        seen.index(seen[0])
        seen[21] += 1
        plain(0)
        seen[22] += 1
        repr([seen])
        seen[23] += 1
    except RecursionError:
        seen[24] += 1
        try:
            seen[25] += 1
            plain(0)
            seen[26] += 1
        except RecursionError:
            seen[27] += 1
    finally:
        seen[28] += 1
def plain(n):
    try:
        return n
    finally:
        pass
"""
N = 29

@types.coroutine
def suspends():
    yield

def end_of(kind, seen, names):
    """Return what runs *kind*, or ends it if it was begun."""
    if kind == "calls":
        return names[kind].__get__(seen)
    made = names[kind](seen)
    if kind == "asynchronous":
        made = made.asend(None)
    made.send(None)
    return made.close

def by_python(n, end):
    if n:
        return by_python(n - 1, end)
    return end()

def by_c(n, end):
    if n:
        return next(map(by_c, (n - 1,), (end,)))
    return end()

def deepest(recurse):
    """Return how deep *recurse* gets."""
    low, high = 0, 1 << 14
    while low < high - 1:
        middle = low + high >> 1
        try:
            recurse(middle, int)
            low = middle
        except RecursionError:
            high = middle
    return low

def each(recurse, levels, n_times):
    """Yield what code that nobody else runs, so deep, has seen of itself."""
    for n in levels:
        seen = [0] * N
        name = f"{recurse.__name__}_{n}.py"
        names = {"__file__": name, "__name__": name, "suspends": suspends}
        exec(compile(KINDS, name, "exec"), names)
        for kind in ("closed", "handles", "delegates", "within", "awaits", "asynchronous", "calls") * n_times:
            end = end_of(kind, seen, names)
            try:
                recurse(n, end)
            except RecursionError:
                pass
            del end
        yield name, seen

def at_the_limit_of_c(results):
    n = deepest(by_c)
    results.extend(each(by_c, range(n - 5, n + 2), 1))

def run():
    results = []
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(200)
        n = deepest(by_python)
        results.extend(each(by_python, range(n - 12, n + 3), 5))
        if sys.version_info >= (3, 12):  # where calls by C have a limit of their own
            sys.setrecursionlimit(1 << 20)
            if sys.version_info >= (3, 14):  # the limit is the end of the stack
                threading.stack_size(1 << 18)
            thread = threading.Thread(target=at_the_limit_of_c, args=(results,))
            thread.start()
            thread.join()
    finally:
        threading.stack_size(0)
        sys.setrecursionlimit(limit)
    return results
'''
KINDS = PROGRAM.split('"""')[1]
LINE_OF = {
    int(found[1]): line
    for line, text in enumerate(KINDS.splitlines(), 1)
    if (found := re.search(r"seen\[(\d+)\] \+=", text))
}


@pytest.mark.slow
def test_no_count_is_lost_at_the_recursion_limit():
    """However near the limit a generator, a coroutine or a function ends, its counts equal those of the program."""
    namespace = {"__file__": "recursion.py", "__name__": "recursion"}
    tracer = instrument.Trace(count=1, trace=0)
    tracer.runctx(compile(PROGRAM, "recursion.py", "exec"), namespace, namespace)
    results = tracer.runfunc(namespace["run"])
    measured = tracer.results()
    assert measured.not_measured == ()
    for name, seen in results:
        assert [measured.counts.get((name, line), 0) for _, line in sorted(LINE_OF.items())] == seen, name
    total = [sum(each) for each in zip(*(seen for _, seen in results))]
    assert all((total[2], total[13], total[24])), "the limit was not reached where it matters"


STRESS = """
    import gc, os, signal, sys, threading
    signal.signal(signal.SIGALRM, lambda *_: [x for x in range(5)])
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    sys.unraisablehook = int
    gc.set_threshold(7)
    begun, closed, ended = [0], [0], [0]
    def gen(mine):
        begun[0] += 1
        try:
            yield mine
        finally:
            mine = [mine]
            closed[0] += 1
    class Cycle:
        pass
    def deep(n):
        cycle = Cycle()
        cycle.me = cycle
        cycle.gen = gen([])
        next(cycle.gen)
        return deep(n - 1)
    def work():
        for _ in range(100):
            try:
                deep(10_000)
            except RecursionError:
                ended[0] += 1
    sys.setrecursionlimit(60)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.setrecursionlimit(1000)
    gc.collect()
    print(begun[0], closed[0], ended[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a timer")
def test_generators_that_the_collector_closes_in_deep_recursion_are_counted(tmp_path):
    """Among threads, signals and frequent collections, counts are exact, and no count contradicts another."""
    tree = Tree(tmp_path)
    output, errors = tree.run(STRESS)
    assert "measured" not in errors
    assert tree.rows("SELECT * FROM not_measured") == []
    counted = tree.lines()
    lines = tree.path.read_text().splitlines()
    numbers = [lines.index(f"{' ' * spaces}{name}[0] += 1") + 1 for name, spaces in SEEN_BY_STRESS.items()]
    assert [counted[line] for line in numbers] == list(map(int, output.split()))
    assert min(map(int, output.split())) >= 400


#: The counts that the program keeps itself, and the indentation of their lines.
SEEN_BY_STRESS = {"begun": 4, "closed": 8, "ended": 12}
