"""Rewritten code is the original with something in between, does what it did, and whatever else is noticed."""

import gc
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import strategies
from flow.codes import MODULES, code_called, codes_of, codes_of_module, index_at
from hypothesis import given, settings
from rewrite.linking import Runner, link

from instrument.decode.instructions import Instructions, exception_table
from instrument.decode.opcodes import (
    BACKWARD,
    CACHES,
    EXTENDED_ARG,
    JUMPS,
    MAY_RERAISE,
    OPCODES,
    OPNAMES,
    RAISES,
    RERAISE,
    RESUME,
)
from instrument.decode.unrolling import takes_no_space
from instrument.errors import RewriteError
from instrument.flow.graph import build
from instrument.flow.placement import CALLS, EVENTS, LINE, MINIMAL, NOTHING, graph_of, plan
from instrument.rewrite import rewriter
from instrument.rewrite.rewriter import rewrite
from instrument.rewrite.verifier import difference

ALL = [MINIMAL, LINE, EVENTS, CALLS]
COUNTING = [MINIMAL, LINE]
BACK_TO_A_HANDLER = OPCODES["JUMP_BACKWARD_NO_INTERRUPT"]


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays():
    """Leave no rewritten function behind that is not known as such: a measurement would rewrite it again."""
    yield
    gc.collect()


class Rewritten:
    """A code object before and after, by instructions."""

    def __init__(self, code, placement):
        graph = graph_of(code, placement)
        self.before = graph.instructions
        self.placement = placement
        self.unlinked = rewrite(graph, plan(graph, placement))
        self.after = Instructions(self.unlinked.code)
        self.places = list(self.unlinked.units[: len(self.before)])

    def verify(self, **changes):
        """Return what is found wrong after *changes* of the code."""
        kept = self.unlinked.code
        self.unlinked.code = kept.replace(**changes)
        try:
            return difference(self.before, self.unlinked)
        finally:
            self.unlinked.code = kept

    def with_unit(self, unit, op=None, arg=None):
        """Return the bytes of the code with one unit changed."""
        raw = bytearray(self.unlinked.code.co_code)
        raw[2 * unit] = raw[2 * unit] if op is None else op
        raw[2 * unit + 1] = raw[2 * unit + 1] if arg is None else arg
        return bytes(raw)

    def is_at(self, unit, index):
        """Return whether *unit* is the instruction *index* or stands between it and the one above."""
        above = 0
        if index and takes_no_space(self.before, index - 1):
            above = self.places[index - 1]
        elif index:
            above = self.places[index - 1] + 1 + CACHES[self.unlinked.code.co_code[2 * self.places[index - 1]]]
        return above <= unit <= self.places[index]


def check_handlers(made):
    """Check that an exception raised at any of the original instructions comes to its original handler."""
    before, after = made.before, made.after
    for index, place in enumerate(made.places):
        if takes_no_space(before, index):
            continue
        led_to = after.handlers[index_at(after, place)]
        handler = before.table[before.handlers[index]] if before.handlers[index] >= 0 else None
        if led_to < 0:
            unrecorded = index < before.made_by or before.ops[index] in RAISES | MAY_RERAISE
            assert handler is None
            assert unrecorded or made.placement == NOTHING
            continue
        led_to = after.table[led_to]
        if handler is not None and made.is_at(after.starts[led_to.target], handler.target):
            assert (led_to.depth, led_to.push_lasti) == (handler.depth, handler.push_lasti)
            continue
        assert after.starts[led_to.target] > made.places[-1], "stubs stand behind everything else"
        end = led_to.target
        while after.ops[end] != RERAISE and after.ops[end] not in BACKWARD:
            end += 1
        is_counted = index in made.unlinked.plan.stubs
        needs_lasti = handler is None or handler.push_lasti or after.ops[end] == RERAISE
        assert led_to.push_lasti == (not is_counted or needs_lasti)
        if handler is None:
            assert (led_to.depth, after.ops[end], after.args[end]) == (0, RERAISE, 1)
            assert after.handlers[end] < 0
            continue
        assert led_to.depth == handler.depth
        if after.ops[end] == RERAISE:
            again = after.table[after.handlers[end]]
            assert (after.args[end], again.depth, again.push_lasti) == (1, handler.depth, handler.push_lasti)
            assert made.is_at(after.starts[again.target], handler.target)
            continue
        assert after.ops[end] in BACKWARD
        assert made.is_at(after.starts[after.targets[end]], handler.target)
        drops_lasti = [OPNAMES[op] for op in after.ops[end - 2 : end]] == ["SWAP", "POP_TOP"]
        assert drops_lasti == (led_to.push_lasti and not handler.push_lasti)


def check_in_between(made):
    """Check that what was put in does not change what it was put between: order, lines, jumps, sizes."""
    before, after = made.before, made.after
    assert sorted(made.places) == made.places
    for index, place in enumerate(made.places):
        if takes_no_space(before, index):
            continue
        there = index_at(after, place)
        assert after.units[there] == place
        assert after.lines[there] == before.lines[index]
        if before.targets[index] >= 0:
            landed = after.starts[after.targets[there]]
            assert made.is_at(landed, before.targets[index]) or landed > made.places[-1]
    first = made.places[before.first]
    assert after.units[after.first] == first
    known = set(made.places)
    for there in range(after.first + 1, len(after)):
        below = next((index for index, place in enumerate(made.places) if place >= after.units[there]), None)
        if after.units[there] not in known and below is not None:
            above = before.lines[below - 1]
            assert after.lines[there] in (before.lines[below], above)


@pytest.mark.parametrize("placement", ALL)
@pytest.mark.parametrize("module", MODULES[::3])
def test_the_standard_library_is_rewritten(module, placement):
    """All code of a sample of modules is rewritten and verified, and exceptions find their handlers."""
    for code in codes_of_module(module):
        made = Rewritten(code, placement)
        assert made.verify() == ""
        check_handlers(made)


@pytest.mark.parametrize("placement", ALL)
@given(program=strategies.programs(size=15))
@settings(max_examples=25)
def test_any_program_is_rewritten(placement, program):
    """What holds for the standard library holds for programs that nobody would write."""
    for code in codes_of(program.source):
        made = Rewritten(code, placement)
        assert made.verify() == ""
        check_handlers(made)
        check_in_between(made)


@pytest.mark.parametrize("placement", [*COUNTING, EVENTS])
def test_rewritten_programs_do_what_they_did(placement):
    """Values, exceptions, the lines of tracebacks and the order of everything are the same."""
    for seed in range(40):
        program = strategies.random_program(seed)
        expected = strategies.run(program, lambda **_: Runner())
        assert strategies.run(program, lambda **_: Runner(placement)) == expected, program


@pytest.mark.parametrize("placement", COUNTING)
def test_a_debugger_sees_the_same_lines(placement):
    """Under `sys.settrace` rewritten code shows the lines of the original, and no others."""
    for seed in range(40):
        program = strategies.random_program(seed)
        plain, linked = Runner(None, strategies.FILE_NAME), Runner(placement, strategies.FILE_NAME)
        strategies.run(program, lambda **_: plain)
        strategies.run(program, lambda **_: linked)
        assert set(linked.lines) == set(plain.lines), program


SHAPES = """
def f(n):
    for x in range(n):
        if x % 2:
            continue
        elif x == 4:
            break
        while x:
            x -= 1
        try:
            1 / n
            [][n]
        except ZeroDivisionError:
            yield 0
        except IndexError:
            yield 1
        finally:
            n += 0
    else:
        return
def g(n):
    yield from f(n)
    with open(__file__) as file:
        pass
list(f(0)), list(f(3)), list(f(8))
try:
    list(g(2))
except NameError:
    pass
"""


@pytest.mark.parametrize("placement", COUNTING)
def test_probes_and_stubs_add_no_line_event(placement):
    """A debugger sees each line of ordinary code as often as without probes."""
    code = compile(SHAPES, "shapes", "exec")
    plain, linked = Runner(None, "shapes"), Runner(placement, "shapes")
    for runner in (plain, linked):
        runner.runctx(code, {}, None)
    assert linked.lines == plain.lines
    assert min(linked.lines.values()) >= 1 < max(linked.lines.values())


def test_code_that_is_not_measured_is_rewritten():
    """`nothing` rewrites whatever the other placements do, the head of a loop behind a `raise` included."""
    source = "def f(x):\n    if x:\n        raise E\n    while y:\n        z()\n"
    check_handlers(Rewritten(code_called("f", source), NOTHING))


# Tampering ############################################################################################################

VICTIM = """
def f(x, *, y=2):
    total = 0.5
    for item in x:
        try:
            if item and y:
                total = item.method(total, "text", key=y)
            else:
                total += y
        except ValueError:
            total = helper(total)
        with y:
            yield total
    return total
"""


@pytest.fixture(params=COUNTING)
def victim(request):
    """A rewritten function with every part that can be tampered with."""
    made = Rewritten(code_called("f", VICTIM), request.param)
    assert made.verify() == ""
    return made


def test_an_opcode_that_was_changed_is_noticed(victim):
    """Each original instruction is compared; none may become another, a NOP least of all."""
    nop = OPCODES["NOP"]
    for index, place in enumerate(victim.places):
        op = victim.before.ops[index]
        if not CACHES[op] and op not in (nop, BACK_TO_A_HANDLER):
            assert victim.verify(co_code=victim.with_unit(place, op=nop)) == "instructions differ"


def test_an_argument_that_was_changed_is_noticed(victim):
    """So is each argument, of instructions that use it and of those that do not."""
    for index, place in enumerate(victim.places):
        raw = victim.unlinked.code.co_code
        for bit in (1, 2, 128):
            problem = victim.verify(co_code=victim.with_unit(place, arg=raw[2 * place + 1] ^ bit))
            if victim.before.targets[index] < 0:
                assert problem == f"the argument of instruction {index} differs"


def test_a_jump_that_goes_elsewhere_is_noticed(victim):
    """A jump must arrive at its old target or at what was put right before it, neither above nor below."""
    n_jumps = 0
    for index, place in enumerate(victim.places):
        if victim.before.ops[index] not in JUMPS:
            continue
        n_jumps += 1
        argument = victim.unlinked.code.co_code[2 * place + 1]
        for other in range(256):
            op = victim.unlinked.code.co_code[2 * place]
            after = place + 1 + CACHES[op]
            lands = after - other if op in BACKWARD else after + other
            right = victim.is_at(lands, victim.before.targets[index]) or lands > victim.places[-1]
            expected = "" if right else f"the jump at instruction {index} goes elsewhere"
            assert victim.verify(co_code=victim.with_unit(place, arg=other)) == expected
            assert right or other != argument
    assert n_jumps > 3


def test_a_prefix_that_was_put_before_an_instruction_is_noticed():
    """An EXTENDED_ARG in place of the instruction above makes an argument larger."""
    made = Rewritten(code_called("f", VICTIM), LINE)
    for index in range(1, len(made.before)):
        above, place = made.places[index - 1], made.places[index]
        op = made.before.ops[index - 1]
        if above + 1 == place and not CACHES[op] and op != BACK_TO_A_HANDLER:
            assert made.verify(co_code=made.with_unit(above, op=EXTENDED_ARG, arg=1)) != ""


def test_a_stack_that_is_too_small_is_noticed(victim):
    """Probes need room above what the code itself needs."""
    size = victim.unlinked.code.co_stacksize
    needed = victim.before.code.co_stacksize + rewriter.probes.STACK_OF_PROBE
    assert victim.verify(co_stacksize=size + 1) == ""
    assert victim.verify(co_stacksize=needed - 1) == "the stack is too small"


def test_names_and_constants_that_were_changed_are_noticed(victim):
    """Every name and every constant of the original stays in its place."""
    code = victim.unlinked.code
    for number in range(len(victim.before.code.co_names)):
        changed = [*code.co_names]
        changed[number] = "other"
        assert victim.verify(co_names=tuple(changed)) == "constants or names differ"
    for number in range(len(victim.before.code.co_consts)):
        changed = [*code.co_consts]
        changed[number] = "other"
        assert victim.verify(co_consts=tuple(changed)) == "constants or names differ"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("co_name", "g"),
        ("co_qualname", "C.f"),
        ("co_filename", "elsewhere"),
        ("co_firstlineno", 1),
        ("co_argcount", 0),
        ("co_kwonlyargcount", 0),
        ("co_flags", 0),
        ("co_varnames", ("x", "y", "total", "other")),
    ],
)
def test_a_field_that_was_changed_is_noticed(victim, name, value):
    """What else makes up a code object must be the original's."""
    # Some depend on each other, so that the interpreter makes no such code object.
    kept = victim.unlinked.code
    fields = {field: getattr(kept, field) for field in dir(kept) if field.startswith("co_") and field != "co_lnotab"}
    victim.unlinked.code = types.SimpleNamespace(**{**fields, name: value})
    try:
        assert difference(victim.before, victim.unlinked) == f"{name} differs"
    finally:
        victim.unlinked.code = kept


@pytest.mark.parametrize(
    ("old", "new"),
    [("total += y", "total +=  y"), ("helper(total)", "helper(\ntotal)"), ("    return", "\n    return"), ("text", "t")],
    ids=["a column", "an argument's line", "the last line", "the end of an argument"],
)
def test_positions_that_were_changed_are_noticed(victim, old, new):
    """Lines and columns of each original instruction are compared, from beginning to end."""
    other = Rewritten(code_called("f", VICTIM.replace(old, new)), victim.placement)
    assert other.after.ops[: len(victim.before)] == victim.after.ops[: len(victim.before)] or victim.placement == LINE
    assert victim.verify(co_linetable=other.unlinked.code.co_linetable) == "positions differ"


def varint(number, mark=0):
    """Return *number* as exception tables have it."""
    digits = [number & 63]
    while number := number >> 6:
        digits.insert(0, number & 63)
    digits = [digit | 64 for digit in digits[:-1]] + digits[-1:]
    digits[0] |= mark
    return bytes(digits)


def packed(entries):
    """Return the exception table of *entries*."""
    parts = []
    for start, stop, target, rest in entries:
        parts += [varint(start, 128), varint(stop - start), varint(target), varint(rest)]
    return b"".join(parts)


def test_an_exception_table_that_is_out_of_order_is_noticed(victim):
    """The interpreter searches the table by halves: entries in another order, or that overlap, are not found."""
    table = victim.unlinked.code.co_exceptiontable
    entries = exception_table(table)
    assert packed(entries) == table
    assert len(entries) > 3
    expected = "the exception table is out of order"
    end = len(victim.unlinked.code.co_code) // 2
    for number, (start, stop, target, rest) in enumerate(entries):
        for other in ((start, start, target, rest), (start, stop, end, rest), (start, end + 1, target, rest)):
            assert victim.verify(co_exceptiontable=packed([*entries[:number], other, *entries[number + 1 :]])) == expected
    for number in range(len(entries) - 1):
        swapped = [*entries]
        swapped[number : number + 2] = reversed(entries[number : number + 2])
        assert victim.verify(co_exceptiontable=packed(swapped)) == expected
    assert victim.verify(co_exceptiontable=packed([entries[0], *entries])) == expected


def test_an_exception_that_would_go_elsewhere_is_noticed(victim):
    """Each entry that originals depend on is compared: its range, its handler, its depth, and whether it wants lasti."""
    entries = exception_table(victim.unlinked.code.co_exceptiontable)
    covered = [any(start <= place < stop for place in victim.places) for start, stop, _, _ in entries]
    assert sum(covered) > 3
    for number, (start, stop, target, rest) in enumerate(entries):
        if not covered[number]:
            continue
        others = [[(start, stop, target, rest + 2)], [(start, stop, target, rest ^ 1)], [(start, stop, start, rest)]]
        handled = zip(victim.places, victim.before.handlers)
        if any(start <= place < stop and handler >= 0 for place, handler in handled):
            others.append([])  # without a handler, nothing but a record would be missed
        for other in others:
            changed = packed([*entries[:number], *other, *entries[number + 1 :]])
            assert victim.verify(co_exceptiontable=changed).startswith("the handler of instruction ")


def test_code_that_does_not_verify_is_never_returned(monkeypatch):
    """A RewriteError names the place of the code and what is wrong with it."""
    graph = build(Instructions(code_called("f", VICTIM)))
    monkeypatch.setattr(rewriter, "difference", lambda *_: "something differs")
    with pytest.raises(RewriteError, match=r"^program:2: f cannot be rewritten: something differs$"):
        rewrite(graph, plan(graph))


# Size #################################################################################################################


def lines_of_code(n_lines):
    """Return the source of a function of about *n_lines* lines, in one loop, with branches all the way."""
    body = "        if x:\n            a += x * 2 - a // 3\n        a = -a\n" * (n_lines // 3)
    return f"def f(n):\n    a = 0\n    for x in range(n):\n{body}    return a\n"


WORK = """
import itertools, sys
from instrument.guest import own_loader

own_loader.hides = False  # what is hidden raises no events
sys.path.insert(0, sys.argv[1])
from test_rewriter import MINIMAL, Rewritten, code_called, lines_of_code

def work(n):
    code = code_called("f", lines_of_code(n))
    n_lines = itertools.count()

    def call(frame, _event, _argument):
        return local if frame.f_globals.get("__name__", "").startswith("instrument") else None

    def local(_frame, _event, _argument):
        next(n_lines)
        return local

    sys.settrace(call)
    made = Rewritten(code, MINIMAL)
    sys.settrace(None)
    return next(n_lines), len(made.after)

work(3)
print(*work(300), *work(1200))
"""


def test_work_grows_with_the_size_of_the_code_and_no_faster():
    """Four times the lines are about four times the work, and four times the instructions."""
    command = [sys.executable, "-c", WORK, str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    small, n_small, large, n_large = map(int, done.stdout.split())
    assert 3 < large / small < 4.6
    assert 3.8 < n_large / n_small < 4.2


def test_a_function_of_ten_thousand_lines_is_rewritten_and_runs():
    """Jumps over tens of thousands of units get the prefixes they need; what the function returns is the same."""
    source = lines_of_code(10_000)
    made = Rewritten(code_called("f", source), MINIMAL)
    far = max(argument for op, argument in zip(made.after.ops, made.after.args) if op in JUMPS)
    assert far > 65_536
    plain, linked = {}, {}
    exec(compile(source, "program", "exec"), plain)
    exec(link(compile(source, "program", "exec"), MINIMAL), linked)
    for n in range(4):
        assert linked["f"](n) == plain["f"](n)


@pytest.mark.parametrize("n_lines", [*range(30, 60, 3), *range(60, 120, 15)])
def test_jumps_of_every_length_get_the_prefixes_they_need(n_lines):
    """Where a probe makes a jump longer than one byte can say, code moves, and other jumps with it."""
    source = lines_of_code(n_lines)
    plain, linked = {}, {}
    exec(compile(source, "program", "exec"), plain)
    exec(link(compile(source, "program", "exec"), LINE), linked)
    assert [linked["f"](n) for n in range(5)] == [plain["f"](n) for n in range(5)]
    made = Rewritten(code_called("f", source), LINE)
    check_handlers(made)
    check_in_between(made)


def test_names_and_constants_by_the_hundred_keep_their_prefixes():
    """Arguments above 255, and counters whose constants lie there, are loaded as they should be."""
    rows = [f"n{number} = {number + 1000}.5 + n{number - 1 if number else 0}" for number in range(400)]
    source = "n0 = 0\n" + "\n".join(rows)
    plain, linked = {}, {}
    code = compile(source, "program", "exec")
    exec(code, plain)
    for placement in COUNTING:
        exec(link(code, placement), linked)
        assert {name: value for name, value in linked.items() if name[0] == "n"} == {
            name: value for name, value in plain.items() if name[0] == "n"
        }
        check_in_between(Rewritten(code, placement))


@pytest.mark.parametrize("placement", ALL)
def test_each_unit_keeps_its_place_in_the_source(placement):
    """Prefixes and caches too, where whoever made the code gave them other places than the instruction has."""

    def function(things):
        for thing in things:
            thing.method(things[0] + 1)
        return things

    columns = iter(range(1_000_000))
    code = function.__code__
    table = b"".join(
        # The short form of a location (Objects/locations.md), one for each unit: columns 0 to 7, and how wide.
        bytes((0x80, next(columns) % 8 << 4 | next(columns) % 15))
        for _ in range(len(code.co_code) // 2)
    )
    made = Rewritten(code.replace(co_linetable=table), placement)
    before, after = list(made.before.code.co_positions()), list(made.unlinked.code.co_positions())
    assert len(set(before)) > 20
    for index, place in enumerate(made.places):
        start, unit = made.before.starts[index], made.before.units[index]
        if made.before.targets[index] >= 0 or made.before.ops[index] == RESUME:  # made anew, where the opcode was
            assert takes_no_space(made.before, index) or after[place] == before[unit]
            continue
        behind = unit + 1 + CACHES[made.before.ops[index]]
        assert after[place - (unit - start) : place + behind - unit] == before[start:behind]
