"""The work of all contexts together is that of the whole run, and each context has its own part of it."""

import ast
import builtins
import contextlib
import io
import pathlib
import sys
import threading
import types
import warnings

import fuzz
import oracle
import pytest
from record.context_runs import Beginnings, Run, sums
from small_runs import FILE

from instrument.link.counters import make_counters
from instrument.record import contexts as contexts_module
from instrument.record.counter_memory import CounterMemory
from instrument.session import snapshot


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
    for n in range(3000):
        run.run(compile(f"x = {n}\n" if n % 2 else "x = 1\ny = 2\n", FILE, "exec"), lives_on=False)
        if n == 249:
            run.contexts.begin("from 250")
    contexts, whole = run.end()
    assert whole == {1: 3000, 2: 1500} == sums(contexts)
    assert contexts["from 250"] == {1: 2750, 2: 1375}
    assert len(run.session.short_lived) < 1500
    assert len(run.contexts._memory._called) < 1600, "counters of retired code are read on"


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


def test_a_reading_is_repeated_if_a_thread_runs_in_the_midst_of_it(monkeypatch):
    """The first one has the frame of a function, and no count of its call."""
    run = Run("def f(wait):\n    wait()\n    return 1\n")
    started, ends = threading.Event(), threading.Event()

    def wait():
        started.set()
        ends.wait()

    thread = threading.Thread(target=run.names["f"], args=[wait])

    def frames_in_flight(records):
        thread.start()
        started.wait()
        return snapshot.frames_in_flight(records)

    monkeypatch.setattr(contexts_module, "frames_in_flight", frames_in_flight)
    run.contexts.begin("second")
    monkeypatch.undo()
    ends.set()
    thread.join()
    contexts, whole = run.end()
    assert contexts["first"] == {1: 1, 2: 1}
    assert contexts["second"] == {3: 1}
    assert sums(contexts) == whole


@pytest.mark.parametrize("lives_on", [True, False])
def test_code_that_becomes_live_in_the_midst_of_a_reading_is_read(monkeypatch, lives_on):
    """Else its frames would be part of a context, and its counters of the next."""
    run = Run()
    started, ends = threading.Event(), threading.Event()

    def wait():
        started.set()
        ends.wait()

    code = compile("for n in 1, 2, 3:\n    x = n\nwait()\ny = 2\n", FILE, "exec")
    thread = threading.Thread(target=run.run, args=[code, {"wait": wait}], kwargs={"lives_on": lives_on})
    original, is_first = snapshot.frames_in_flight, True

    def frames_in_flight(records):
        nonlocal is_first
        if is_first:
            is_first = False
            thread.start()
            started.wait()
        return original(records)

    monkeypatch.setattr(contexts_module, "frames_in_flight", frames_in_flight)
    monkeypatch.setattr(snapshot, "frames_in_flight", frames_in_flight)
    run.contexts.begin("second")
    monkeypatch.undo()
    ends.set()
    thread.join()
    contexts, whole = run.end()
    assert contexts["first"] == {1: 4, 2: 3, 3: 1}
    assert contexts["second"] == {4: 1}
    assert sums(contexts) == whole


def test_counters_that_are_arranged_anew_keep_their_last_values():
    """More and more modules come, and each has counters that have moved on by then."""
    run = Run("def f(x):\n    return x or 1\n")
    for n in range(6):
        functions = "".join(f"def g{k}(x):\n    if x:\n        x += 1\n    return x\n" for k in range(10 * 3**n))
        run.run(compile(functions, f"other{n}.py", "exec"))
        run.contexts.begin(f"{n}")
        for k in range(n):
            run.names["f"](k)
            run.names["g3"](k)
    contexts, whole = run.end()
    assert sums(contexts) == whole
    assert run.lines_of("5")[2] >= 5


def test_groups_are_early_until_the_counters_before_theirs_have_one():
    """Threads that import at once add counters in one order, and groups in another."""
    session = types.SimpleNamespace(counters=make_counters(30), groups={})
    memory = CounterMemory()
    permanent = contexts_module._PermanentCounters(session, memory)

    def add(number, first, n):
        session.groups[number] = types.SimpleNamespace(number=number, first=first, starts=[0, n], counters=[])
        permanent.add_new_groups()

    add(2, 10, 12)
    add(3, 22, 8)
    next(session.counters[12])
    assert permanent.early() == {2, 3}
    assert memory.read() == []
    add(1, 0, 10)
    assert permanent.early() == set()
    ((segment, difference),) = memory.changes(memory.read())
    assert (segment.place, segment.pairs(difference)) == ((2, 0), ((2, 1),))


def test_exits_and_frames_of_early_groups_are_read_with_their_counters():
    """Another thread has added counters, and its group follows. Until then, groups behind it are not read at all."""
    run = Run()
    first = len(run.session.counters)
    run.session.counters.extend(make_counters(5))
    run.run(compile("""\
def f(x):
    try:
        return 1 // x
    except ZeroDivisionError:
        begin("second")
        return 2
f(0)
begin("third")
f(1)
""", FILE, "exec"))
    assert run.contexts.contexts == {}
    number = max(run.session.groups) + 1
    run.session.groups[number] = types.SimpleNamespace(
        number=number, first=first, starts=[0, 5], counters=[], keys=lambda: [0, 0]
    )
    run.contexts.begin("fourth")
    run.names["f"](1)
    del run.session.groups[number]
    contexts, whole = run.end()
    assert contexts["third"] == {1: 1, 2: 2, 3: 2, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1}
    assert contexts["fourth"] == {2: 1, 3: 1}
    assert sums(contexts) == whole


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


#: Words of programs that cannot run in a forked process of the tests, or that contexts in the middle would change.
_UNSUITABLE = ("fork", "multiprocessing", "os._exit", "settrace", "__main__", "input(", "sys.exit", "signal", "recursionlimit", "audit")


def differences(path, every):
    """Run the program at *path* with contexts that begin *every* so many statements; return the lines that differ."""
    warnings.simplefilter("ignore")
    tree = Beginnings(every).visit(ast.parse(pathlib.Path(path).read_bytes()))
    run = Run()
    n_begun = 0

    def begin_context():
        nonlocal n_begun
        n_begun += 1
        run.contexts.begin(str(n_begun % 50))

    builtins.begin_context = begin_context
    module = types.ModuleType("program")
    sys.modules["program"] = module
    code = compile(tree, FILE, "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(BaseException):
        run.run(code, vars(module))
    found, whole = run.end()
    found = sums(found)
    differ = {line: (n, found.get(line, 0)) for line, n in whole.items() if n != found.get(line, 0)}
    return n_begun, differ | {line: (0, n) for line, n in found.items() if line not in whole}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("part", range(4))
def test_contexts_of_programs_add_up_wherever_they_begin(part):
    """Frames are in flight then, in all kinds of statements, and generators are suspended."""
    programs = [path for path in oracle.programs() if not any(word in pathlib.Path(path).read_text("latin-1") for word in _UNSUITABLE)]
    n_begun = 0
    for number, path in enumerate(programs[part::4]):
        try:
            answer = fuzz.in_fork(differences, path, 1 + number % 3)
        except (OSError, EOFError) as error:
            pytest.fail(f"{path}: {error}")
        assert not isinstance(answer, str), (path, answer)
        n, differ = answer
        n_begun += n
        assert not differ, path
    assert n_begun > 500
