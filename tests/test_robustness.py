"""Hostile code objects, interrupts, memory errors, recursion and threads do no harm, and counts stay exact."""

import _thread
import contextlib
import copy
import faulthandler
import gc
import marshal
import mmap
import os
import random
import re
import signal
import struct
import sys
import sysconfig
import threading
import warnings

import pytest

import instrument
from instrument.decode.opcodes import CACHES, OPCODES
from instrument.errors import InstrumentWarning
from instrument.flow import placement, placement_names
from instrument.rewrite import rewriter
from instrument.session.session import Session

STDLIB = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix]
FILE = os.sep + os.path.join("robust", "program.py")
N_MUTATIONS = int(os.environ.get("INSTRUMENT_MUTATIONS", "300"))
# No compiler emits these, and they refer to state that mutated code lacks: reading `co_code` with ENTER_EXECUTOR crashes.
INTERNAL = ("INSTRUMENTED", "ENTER_EXECUTOR", "RESERVED", "TRACE_RECORD")
KNOWN = {op for name, op in OPCODES.items() if not name.startswith(INTERNAL) and op < 256}
CACHE = OPCODES["CACHE"]
OTHER_PLACEMENTS = [placement_names.LINE, *placement_names.CALLING, placement_names.NOTHING]
SOURCE = """
def f(a, b=1, *c):
    for x in a:
        try:
            with b as y:
                yield [z for z in x if z]
        except* ValueError:
            while a and b or c:
                a = b(a, key=c)
        finally:
            print(f"{a}")
async def g(a):
    async for x in a:
        async with x:
            await x
    return lambda: (yield from a)
class C:
    x = a
    def straight(self, a):
        b = self.x + a
        return b(a).y[b]
    def branching(self, a):
        if a:
            return self.x and a()
        for x in a:
            exec(x)
        raise ValueError(a)
def generator(a):
    yield a
    yield a + 1
async def waiting(a):
    return await a
"""


def all_code(source):
    """Return the code objects of *source*, outermost first."""
    codes = [compile(source, FILE, "exec")]
    for code in codes:
        codes.extend(constant for constant in code.co_consts if isinstance(constant, type(code)))
    return codes


def mutated(code, generator):
    """Return *code* with one of its tables changed, cut short or repeated; raise ValueError if CPython could not read it."""
    name = generator.choice(("co_code", "co_code", "co_exceptiontable", "co_linetable"))
    table = bytearray(getattr(code, name))
    for _ in range(generator.randint(1, 3)):
        mutation = generator.randrange(4)
        if mutation == 0:
            del table[generator.randint(0, len(table)) & (~1 if name == "co_code" else ~0) :]
        elif mutation == 1 and name != "co_code":
            table += table[: generator.randint(0, 8)]
        elif table:
            table[generator.randrange(len(table))] = generator.randrange(256)
    if name == "co_code" and not is_whole(table):
        raise ValueError("CPython would read and write past the end of this code")
    return code.replace(**{name: bytes(table)})


def is_whole(raw):
    """Return whether *raw* consists of known instructions with all their caches: CPython reads other code unsafely."""
    unit = 0
    while unit < len(raw) // 2:
        op = raw[2 * unit]
        if op not in KNOWN or op == CACHE:
            return False
        unit += 1 + CACHES[op]
    return 0 < unit == len(raw) // 2


def rewrite_mutations(seeds, progress):
    """Rewrite one mutation for each of *seeds*; write to *progress* the seed, and whether its code object was created."""
    codes = all_code(SOURCE)
    for seed in seeds:
        generator = random.Random(seed)
        progress[:] = struct.pack("qq", seed, False)
        with contextlib.suppress(ValueError):  # CPython refuses some
            code = mutated(generator.choice(codes), generator)
            progress[:] = struct.pack("qq", seed, True)
            with contextlib.suppress(Exception):
                for name in placement_names.MINIMAL, generator.choice(OTHER_PLACEMENTS):
                    flow = placement.graph_of(code, name)
                    rewriter.rewrite(flow, placement.plan(flow, name))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that may crash")
def test_mutated_code_neither_crashes_nor_hangs_the_rewriter():
    """Whatever the bytes of a code object, the rewriter returns or raises an Exception, in time.

    CPython crashes when it creates some of these code objects (`code.replace`). They are skipped.
    """
    progress = mmap.mmap(-1, 16)
    start = n_skipped = 0
    while start < N_MUTATIONS:
        stop = min(start + 100, N_MUTATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if not child:
            try:
                faulthandler.disable()
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(60)
                rewrite_mutations(range(start, stop), progress)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seed, is_created = struct.unpack("qq", progress[:])
        if status and not is_created:
            n_skipped += 1
            start = seed + 1
            continue
        assert status == 0, f"mutation {seed} ended with {status}"
        start = stop
    assert n_skipped < N_MUTATIONS // 4


def test_code_that_cannot_be_rewritten_stays_the_same():
    """A session returns the original, warns once, and reports the file as not measured."""
    session = Session(placement.MINIMAL)
    code = compile("x = 1", FILE, "exec")
    broken = code.replace(co_code=code.co_code[:-2])  # control leaves the code at its end: no instruction here has caches
    with pytest.warns(InstrumentWarning, match="not measured") as warned:
        assert session.instrument_exec_code(broken, FILE) is broken
        assert session.instrument_exec_code(broken, FILE) is broken
        another = broken.replace(co_name="another")
        assert session.instrument_exec_code(another, FILE) is another
    assert len(warned) == 1
    assert list(session.not_measured) == [FILE]


def test_the_packages_warnings_are_no_errors_in_a_program_that_raises_warnings(capfd, monkeypatch):
    """The warning is written to standard error."""
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    code = compile("x = 1", FILE, "exec")
    broken = code.replace(co_code=code.co_code[:-2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Session(placement.MINIMAL).instrument_exec_code(broken, FILE) is broken
    assert re.fullmatch(rf"InstrumentWarning: <module> in {FILE} is not measured: .+\n", capfd.readouterr().err)


def measure(source, **names):
    """Run *source* as FILE under a Trace; return a dict from line to count, and the namespace of the program."""
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=STDLIB)
    namespace = {"__file__": FILE, "__name__": "program", **names}
    tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
    return {line: count for (file, line), count in tracer.results().counts.items() if file == FILE}, namespace


INTERRUPTED = """
def numbers():
    try:
        while True:
            yield 1
    finally:
        closed[0] += 1
def work():
    for n in numbers():
        if n and turns[0] % 2:
            turns[0] += 1
        else:
            turns[0] += 1
        try:
            pass
        finally:
            ends[0] += 1
while interrupts[0] < 40:
    try:
        setitimer(ITIMER_REAL, random() / 1000)
        work()
    except KeyboardInterrupt:
        interrupts[0] += 1
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
def test_counts_are_exact_after_interrupts_at_any_instant():
    """After forty interrupts, counts differ from those that the program keeps by forty at the most."""
    names = {name: [0] for name in ("turns", "ends", "closed", "interrupts")}
    names |= {"setitimer": signal.setitimer, "ITIMER_REAL": signal.ITIMER_REAL, "random": random.Random(1).random}
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        counts, _ = measure(INTERRUPTED, **names)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    n_interrupts = names["interrupts"][0]
    assert counts[23] == n_interrupts == 40
    assert 0 <= counts[11] + counts[13] - names["turns"][0] <= n_interrupts
    assert 0 <= counts[10] - counts[11] - counts[13] <= n_interrupts
    assert 0 <= counts[17] - names["ends"][0] <= n_interrupts
    assert 0 <= counts[7] - names["closed"][0] <= n_interrupts


OUT_OF_MEMORY = """
def work(seen):
    for turn in range(3):
        try:
            seen[0] += 1
            data = [turn] * 100
            seen[1] += 1
            text = str(turn + 1000) + "x"
            seen[2] += 1
            pair = {turn: data}
        except MemoryError:
            seen[3] += 1
        else:
            seen[4] += 1
        finally:
            seen[5] += 1
    return seen
def items(seen):
    for n in 1, 2, 3:
        seen[6] += 1
        yield [n] * 50
for start, seen in enumerate(runs):
    set_nomemory(start, start + 1)
    try:
        work(seen)
        for item in items(seen):
            seen[7] += 1
    except MemoryError:
        seen[8] += 1
    remove_mem_hooks()
"""
#: SEEN: the line of each `seen[n] += 1`, which allocates no memory, to n. BEHIND: the line that follows one, to n.
BEHIND = {6: 0, 8: 1, 10: 2, 11: 3}
SEEN = dict(zip((5, 7, 9, 12, 14, 16, 20, 27, 29), range(9)))


def test_counts_are_exact_after_a_memory_error_at_any_allocation():
    """Whichever allocation of the program fails, counts equal those that the program keeps without allocating."""
    testcapi = pytest.importorskip("_testcapi")
    runs = [bytearray(9) for _ in range(200)]
    names = {"set_nomemory": testcapi.set_nomemory, "remove_mem_hooks": testcapi.remove_mem_hooks}
    gc.collect()
    gc.disable()  # callbacks of the collector, those of Hypothesis for instance, would fail as well, and print that
    try:
        counts, _ = measure(OUT_OF_MEMORY, runs=runs, **names)
    finally:
        testcapi.remove_mem_hooks()
        gc.enable()
    seen = [sum(run[n] for run in runs) for n in range(9)]
    assert {line: counts[line] for line in SEEN} == {line: seen[n] for line, n in SEEN.items()}
    assert {line: counts[line] for line in BEHIND} == {line: seen[n] for line, n in BEHIND.items()}
    assert seen[3] + seen[8] > 20


def test_recursion_reaches_the_same_depth_as_without_measurement():
    """A RecursionError is raised at the same depth, and each level is counted."""
    source = (
        "n = 0\ndef f():\n    global n\n    n += 1\n    f()\ntry:\n    f()\nexcept RecursionError:\n    caught = n\n"
    )
    namespace = {"__file__": FILE}
    counts, measured = measure(source)
    exec(compile(source, FILE, "exec"), namespace)
    assert abs(measured["caught"] - namespace["caught"]) < 20
    assert counts[4] == measured["caught"]
    assert counts[9] == 1


THREADS = """
def call(n):
    if n % 3:
        return 1
    return 0
def work():
    for n in range(10_000):
        call(n)
    done.append(1)
start(work)
"""


@pytest.mark.parametrize("kind", ["threading", "_thread"])
def test_all_calls_of_four_threads_are_counted(kind):
    """Each thread makes ten thousand calls, and threads switch as often as possible."""
    done = []

    def start(work):
        if kind == "threading":
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return
        lock = threading.Semaphore(0)
        for _ in range(4):
            _thread.start_new_thread(lambda: (work(), lock.release()), ())
        for _ in range(4):
            lock.acquire()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        counts, _ = measure(THREADS, done=done, start=start)
    finally:
        sys.setswitchinterval(interval)
    assert counts == {2: 1, 3: 40_000, 4: 26_664, 5: 13_336, 6: 1, 7: 40_004, 8: 40_000, 9: 4, 10: 1}


def test_live_code_can_be_hashed_compared_and_copied():
    """Live code has a hash and equals itself, its function can be copied, and marshal raises ValueError for it."""
    _, namespace = measure("def f(x):\n    return [y for y in x]\n")
    function = namespace["f"]
    code = function.__code__
    assert hash(code) == hash(code)
    assert code == code
    assert copy.deepcopy(function) is function
    with pytest.raises(ValueError, match="unmarshallable"):
        marshal.dumps(code)
