"""The verifier notices each change of rewritten code that would make it differ from its original."""

import types

import pytest
from flow.codes import code_called, codes_of_module
from rewrite.rewritten import COUNTING, SAMPLE, Rewritten

from instrument.decode.instructions import exception_table
from instrument.decode.opcodes import BACKWARD, CACHES, EXTENDED_ARG, JUMP_BACKWARD_NO_INTERRUPT, JUMPS, OPCODES
from instrument.flow.placement import LINE, MINIMAL
from instrument.rewrite.path_check import wrong_path
from instrument.rewrite.probes import STACK_OF_PROBE
from instrument.rewrite.verifier import difference


@pytest.fixture(params=COUNTING)
def sample(request):
    """Return the rewritten sample function, in which the verifier finds no difference."""
    rewritten = Rewritten(code_called("f", SAMPLE), request.param)
    assert rewritten.difference() == ""
    return rewritten


def test_a_changed_opcode_is_noticed(sample):
    """Each original instruction is compared: none may become a NOP."""
    nop = OPCODES["NOP"]
    for index, unit in enumerate(sample.units):
        op = sample.originals.ops[index]
        if not CACHES[op] and op not in (nop, JUMP_BACKWARD_NO_INTERRUPT):
            assert sample.difference(co_code=sample.with_unit(unit, op=nop)) == "instructions differ"


def test_a_changed_argument_is_noticed(sample):
    """Each argument is compared, also that of an instruction which does not use it."""
    for index, unit in enumerate(sample.units):
        raw = sample.unlinked.code.co_code
        for bit in (1, 2, 128):
            changed = sample.difference(co_code=sample.with_unit(unit, arg=raw[2 * unit + 1] ^ bit))
            if sample.originals.targets[index] < 0:
                assert changed == f"the argument of instruction {index} differs"


@pytest.mark.slow
def test_a_jump_to_another_target_is_noticed(sample):
    """A jump must arrive at its original target, at the code added above it, or behind all originals."""
    n_jumps = 0
    for index, unit in enumerate(sample.units):
        if sample.originals.ops[index] not in JUMPS:
            continue
        n_jumps += 1
        argument = sample.unlinked.code.co_code[2 * unit + 1]
        for other in range(256):
            op = sample.unlinked.code.co_code[2 * unit]
            after = unit + 1 + CACHES[op]
            target = after - other if op in BACKWARD else after + other
            is_right = sample.is_at(target, sample.originals.targets[index]) or target > sample.units[-1]
            expected = "" if is_right else f"the jump at instruction {index} goes elsewhere"
            assert sample.difference(co_code=sample.with_unit(unit, arg=other)) == expected
            assert is_right or other != argument
    assert n_jumps > 3


def test_a_prefix_in_place_of_the_instruction_above_is_noticed():
    """An EXTENDED_ARG there makes the argument of the next instruction larger."""
    sample = Rewritten(code_called("f", SAMPLE), LINE)
    for index in range(1, len(sample.originals)):
        above, unit = sample.units[index - 1], sample.units[index]
        op = sample.originals.ops[index - 1]
        if above + 1 == unit and not CACHES[op] and op != JUMP_BACKWARD_NO_INTERRUPT:
            assert sample.difference(co_code=sample.with_unit(above, op=EXTENDED_ARG, arg=1)) != ""


def test_a_stack_that_is_too_small_is_noticed(sample):
    """Probes need STACK_OF_PROBE more entries than the original."""
    size = sample.unlinked.code.co_stacksize
    needed = sample.originals.code.co_stacksize + STACK_OF_PROBE
    assert sample.difference(co_stacksize=size + 1) == ""
    assert sample.difference(co_stacksize=needed - 1) == "the stack is too small"


def test_changed_names_and_constants_are_noticed(sample):
    """Each name and each constant of the original keeps its index."""
    code = sample.unlinked.code
    for number in range(len(sample.originals.code.co_names)):
        changed = [*code.co_names]
        changed[number] = "other"
        assert sample.difference(co_names=tuple(changed)) == "constants or names differ"
    for number in range(len(sample.originals.code.co_consts)):
        changed = [*code.co_consts]
        changed[number] = "other"
        assert sample.difference(co_consts=tuple(changed)) == "constants or names differ"


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
def test_a_changed_field_is_noticed(sample, name, value):
    """All further fields of a code object are compared."""
    # Some fields depend on each other, so the interpreter makes no code object with one of them changed.
    unchanged = sample.unlinked.code
    names = [field for field in dir(unchanged) if field.startswith("co_") and field != "co_lnotab"]
    fields = {field: getattr(unchanged, field) for field in names}
    changed = types.SimpleNamespace(**{**fields, name: value})
    assert difference(sample.with_code(changed)) == f"{name} differs"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total += y", "total +=  y"),
        ("helper(total)", "helper(\ntotal)"),
        ("    return", "\n    return"),
        ("text", "t"),
    ],
    ids=["a column", "an argument's line", "the last line", "the end of an argument"],
)
def test_changed_positions_are_noticed(sample, old, new):
    """Lines and columns of each original instruction are compared, those of its end included."""
    other = Rewritten(code_called("f", SAMPLE.replace(old, new)), sample.placement)
    n = len(sample.originals)
    assert other.copies.ops[:n] == sample.copies.ops[:n] or sample.placement == LINE
    assert sample.difference(co_linetable=other.unlinked.code.co_linetable) == "positions differ"


def varint(number, mark=0):
    """Return *number* as exception tables encode it."""
    digits = [number & 63]
    while number := number >> 6:
        digits.insert(0, number & 63)
    digits = [digit | 64 for digit in digits[:-1]] + digits[-1:]
    digits[0] |= mark
    return bytes(digits)


def encoded(entries):
    """Return the exception table of *entries*, each (start, stop, target, depth * 2 + push_lasti)."""
    parts = []
    for start, stop, target, depth_and_lasti in entries:
        parts += [varint(start, 128), varint(stop - start), varint(target), varint(depth_and_lasti)]
    return b"".join(parts)


def test_an_exception_table_out_of_order_is_noticed(sample):
    """The interpreter searches the table by bisection, so entries that are out of order or overlap are not found."""
    table = sample.unlinked.code.co_exceptiontable
    entries = exception_table(table)
    assert encoded(entries) == table
    assert len(entries) > 3
    expected = "the exception table is out of order"
    end = len(sample.unlinked.code.co_code) // 2
    for number, (start, stop, target, rest) in enumerate(entries):
        for other in ((start, start, target, rest), (start, stop, end, rest), (start, end + 1, target, rest)):
            changed = encoded([*entries[:number], other, *entries[number + 1 :]])
            assert sample.difference(co_exceptiontable=changed) == expected
    for number in range(len(entries) - 1):
        swapped = [*entries]
        swapped[number : number + 2] = reversed(entries[number : number + 2])
        assert sample.difference(co_exceptiontable=encoded(swapped)) == expected
    assert sample.difference(co_exceptiontable=encoded([entries[0], *entries])) == expected


def test_an_exception_that_would_go_elsewhere_is_noticed(sample):
    """Of each entry that covers an original, the range, the handler, the depth and the flag for lasti are compared."""
    entries = exception_table(sample.unlinked.code.co_exceptiontable)
    covers_original = [any(start <= unit < stop for unit in sample.units) for start, stop, _, _ in entries]
    assert sum(covers_original) > 3
    for number, (start, stop, target, rest) in enumerate(entries):
        if not covers_original[number]:
            continue
        others = [[(start, stop, target, rest + 2)], [(start, stop, target, rest ^ 1)], [(start, stop, start, rest)]]
        units_and_handlers = zip(sample.units, sample.originals.handlers, strict=True)
        if any(start <= unit < stop and handler >= 0 for unit, handler in units_and_handlers):
            others.append([])  # if no original has a handler there, only a record would be missing
        for other in others:
            changed = encoded([*entries[:number], *other, *entries[number + 1 :]])
            assert sample.difference(co_exceptiontable=changed).startswith("the handler of instruction ")


def with_byte(table, index, byte):
    """Return *table* with another *byte* at *index*."""
    return table[:index] + bytes((byte,)) + table[index + 1 :]


def small_functions():
    """Return functions of the standard library with loops, handlers, `with`, generators, coroutines and long lines."""
    codes = [code for module in ("contextlib", "asyncio.tasks", "ast", "typing") for code in codes_of_module(module)]
    return [code for code in codes if 100 < len(code.co_code) < 700][::40]


@pytest.mark.parametrize("placement", COUNTING)
@pytest.mark.slow
def test_each_byte_of_the_location_table_matters_if_and_only_if_a_position_changes(placement):
    """Only other positions are refused, as both decoders of CPython read them, although bytes are compared."""
    verdicts = set()
    for code in [code_called("f", SAMPLE), *small_functions()]:
        sample = Rewritten(code, placement)
        rewritten, units, steps = sample.unlinked.code, sample.units, sample.originals.steps
        originals = [unit for index, unit in enumerate(units) if index not in steps]
        positions = list(rewritten.co_positions())
        lines = sample.originals.lines_of(rewritten, units)
        table = rewritten.co_linetable
        for index, byte in enumerate(table):
            for other in (byte ^ 1, byte ^ 8, byte ^ 64, byte ^ 128):
                changed = rewritten.replace(co_linetable=with_byte(table, index, other))
                new_positions = list(changed.co_positions())
                is_same = sample.originals.lines_of(changed, units) == lines and all(
                    positions[unit : unit + 1] == new_positions[unit : unit + 1] for unit in originals
                )
                verdict = difference(sample.with_code(changed))
                assert (verdict == "") == is_same, (code, index, byte, other)
                verdicts.add(verdict)
    assert verdicts == {"", "positions differ", "lines differ"}


@pytest.mark.slow
def test_each_byte_of_the_exception_table_that_leads_an_original_elsewhere_is_noticed(sample):
    """For each original the handler, the depth and the flag for lasti must be right.

    The instructions within exit stubs are not compared, so only changes to the beginning of another stub are noticed.
    """
    rewritten = sample.unlinked.code
    right = [sample.with_code(rewritten).landing_at(unit) for unit in sample.units]
    table = rewritten.co_exceptiontable
    refused = 0
    for index, byte in enumerate(table):
        for other in [byte ^ 1 << bit for bit in range(8)]:
            changed = sample.with_code(rewritten.replace(co_exceptiontable=with_byte(table, index, other)))
            if not changed.is_table_in_order:
                assert difference(changed) == "the exception table is out of order"
                continue
            landings = [changed.landing_at(unit) for unit in sample.units]
            new = {landing for landing, old in zip(landings, right, strict=True) if landing != old}
            targets = {target for target, _ in right}
            if any(target in targets or target <= sample.units[-1] for target, _ in new):
                assert difference(changed) or wrong_path(sample.graph, sample.plan, changed), (index, byte, other)
                refused += 1
    assert refused > 20


def test_a_jump_behind_the_prefix_of_its_target_is_noticed():
    """The instruction there would run without the upper bits of its argument."""
    assignments = "".join(f" a.n{number} = 0\n" for number in range(300))
    sample = Rewritten(code_called("f", f"def f(a):\n{assignments} if a:\n  a = 1\n return g(a)\n"), MINIMAL)
    originals, raw = sample.originals, sample.unlinked.code.co_code
    (jump,) = [
        index for index in originals.jumps if raw[2 * sample.units[originals.targets[index]] - 2] == EXTENDED_ARG
    ]
    unit, target = sample.units[jump], sample.units[originals.targets[jump]]
    changed = sample.with_unit(unit, arg=target - unit - 1 - CACHES[raw[2 * unit]])
    assert sample.difference(co_code=raw) == ""
    assert sample.difference(co_code=changed) == f"the jump at instruction {jump} goes elsewhere"
