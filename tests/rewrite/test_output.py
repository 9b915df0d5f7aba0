"""Jumps, arguments and positions are right in code of any size, and rewriting takes linear time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flow.codes import code_called
from rewrite.linking import link
from rewrite.rewritten import COUNTING, Rewritten
from rewrite.test_rewriter import ALL, check_added_code, check_handlers

from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CACHES, JUMPS, RESUME
from instrument.flow.placement import EVENTS, LINE, MINIMAL


def lines_of_code(n_lines):
    """Return the source of a function of about *n_lines* lines: one loop, with branches from its top to its end."""
    body = "        if x:\n            a += x * 2 - a // 3\n        a = -a\n" * (n_lines // 3)
    return f"def f(n):\n    a = 0\n    for x in range(n):\n{body}    return a\n"


def functions_of(source, placement):
    """Return the function `f` of *source*, plain and rewritten."""
    plain, linked = {}, {}
    code = compile(source, "program", "exec")
    exec(code, plain)
    exec(link(code, placement), linked)
    return plain["f"], linked["f"]


COUNT_OWN_LINES = """
import itertools, sys
from instrument.guest import own_loader

own_loader.hides = False  # hidden functions raise no events
sys.path.insert(0, sys.argv[1])
from flow.codes import code_called
from rewrite.rewritten import MINIMAL, Rewritten
from rewrite.test_output import lines_of_code

def n_own_lines(n):
    code = code_called("f", lines_of_code(n))
    n_lines = itertools.count()

    def call(frame, _event, _argument):
        return local if frame.f_globals.get("__name__", "").startswith("instrument") else None

    def local(_frame, _event, _argument):
        next(n_lines)
        return local

    sys.settrace(call)
    rewritten = Rewritten(code, MINIMAL)
    sys.settrace(None)
    return next(n_lines), len(rewritten.copies)

n_own_lines(3)
print(*n_own_lines(300), *n_own_lines(1200))
"""


def test_the_work_of_rewriting_grows_with_the_size_of_the_code_and_no_faster():
    """Four times the lines take about four times the executed lines, and give four times the instructions."""
    command = [sys.executable, "-c", COUNT_OWN_LINES, str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    work, size, larger_work, larger_size = map(int, done.stdout.split())
    assert 3 < larger_work / work < 4.6
    assert 3.8 < larger_size / size < 4.2


@pytest.mark.slow
def test_a_function_of_ten_thousand_lines_is_rewritten_and_returns_the_same():
    """Jumps over tens of thousands of code units get the prefixes that they need."""
    source = lines_of_code(10_000)
    rewritten = Rewritten(code_called("f", source), MINIMAL)
    arguments = zip(rewritten.copies.ops, rewritten.copies.args, strict=True)
    assert max(argument for op, argument in arguments if op in JUMPS) > 65_536
    plain, linked = functions_of(source, MINIMAL)
    for n in range(4):
        assert linked(n) == plain(n)


@pytest.mark.parametrize("n_lines", [*range(30, 60, 3), *range(60, 120, 15)])
def test_jumps_of_every_length_get_the_prefixes_that_they_need(n_lines):
    """If a probe makes a jump too long for one byte, a prefix moves the code, and makes other jumps longer."""
    source = lines_of_code(n_lines)
    plain, linked = functions_of(source, LINE)
    assert [linked(n) for n in range(5)] == [plain(n) for n in range(5)]
    rewritten = Rewritten(code_called("f", source), LINE)
    check_handlers(rewritten)
    check_added_code(rewritten)


@pytest.mark.parametrize("placement", [LINE, EVENTS])
@pytest.mark.parametrize("n_lines", [15, 25, 36])
def test_a_short_jump_that_becomes_long_gets_its_prefix(placement, n_lines):
    """Each line with a name is one code unit, and gets a probe of several. The jump over them gets no probe itself.

    So it is patched within a run first, where its distance has no room.
    """
    source = "def f(n):\n    return ((\n" + "        n,\n" * n_lines + "    ) if n else 0)\n"
    code = code_called("f", source)
    rewritten = Rewritten(code, placement)
    distances = [[args for op, args in zip(of.ops, of.args) if op in JUMPS] for of in (Instructions(code), rewritten.copies)]
    assert max(distances[0]) < 81
    assert max(distances[1]) > 255 or n_lines < 36 or placement == LINE
    check_handlers(rewritten)
    check_added_code(rewritten)
    if placement == LINE:
        plain, linked = functions_of(source, placement)
        assert [linked(n) for n in range(5)] == [plain(n) for n in range(5)]


@pytest.mark.slow
def test_names_and_constants_beyond_255_keep_their_prefixes():
    """Arguments above 255 are copied with their prefixes, and counters with such indices are loaded."""
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
        check_added_code(Rewritten(code, placement))


@pytest.mark.parametrize("placement", ALL)
def test_each_code_unit_keeps_its_position(placement):
    """Prefixes and caches keep theirs, even if they differ from that of their instruction; no compiler does that."""

    def function(things):
        for thing in things:
            thing.method(things[0] + 1)
        return things

    columns = iter(range(1_000_000))
    code = function.__code__
    table = b"".join(
        # The short form of a location (Objects/locations.md) for each unit: first column 0 to 7, and width.
        bytes((0x80, next(columns) % 8 << 4 | next(columns) % 15))
        for _ in range(len(code.co_code) // 2)
    )
    rewritten = Rewritten(code.replace(co_linetable=table), placement)
    originals = rewritten.originals
    before, after = list(originals.code.co_positions()), list(rewritten.unlinked.code.co_positions())
    assert len(set(before)) > 20
    for index, place in enumerate(rewritten.units):
        start, unit = originals.starts[index], originals.units[index]
        if originals.targets[index] >= 0 or originals.ops[index] == RESUME:  # encoded anew, with the opcode's position
            assert index in originals.steps or after[place] == before[unit]
            continue
        end = unit + 1 + CACHES[originals.ops[index]]
        assert after[place - (unit - start) : place + end - unit] == before[start:end]
