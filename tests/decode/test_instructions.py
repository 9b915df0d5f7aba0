"""Instructions are decoded as `dis` decodes them, in all code of a dozen modules of the standard library."""

import dis
import importlib.util
import types

import pytest
from flow.codes import index_at

from instrument.decode import instructions, opcodes
from instrument.decode.instructions import Instructions

MODULES = ["argparse", "asyncio.base_events", "ast", "bdb", "contextlib", "difflib", "email.message", "json.decoder"]
MODULES += ["multiprocessing.pool", "pickle", "re._parser", "tarfile", "typing"]


def code_of(module):
    """Return all code objects of *module*, freshly compiled."""
    with open(importlib.util.find_spec(module).origin, "rb") as file:
        codes = [compile(file.read(), module, "exec", dont_inherit=True)]
    for code in codes:
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return codes


def by_dis(code):
    """Return the instructions of *code* that `dis` decodes, without prefixes and caches."""
    return [found for found in dis.get_instructions(code) if found.opname not in ("EXTENDED_ARG", "CACHE")]


@pytest.mark.parametrize("module", MODULES)
def test_instructions_are_those_of_dis(module):
    """Opcodes, arguments, offsets and jump targets are equal."""
    for code in code_of(module):
        ours, theirs = Instructions(code), by_dis(code)
        assert list(ours.ops) == [found.opcode for found in theirs]
        assert [2 * unit for unit in ours.units] == [found.offset for found in theirs]
        for index, found in enumerate(theirs):
            if found.arg is not None:
                assert ours.args[index] == found.arg
            if found.opcode in opcodes.JUMPS:
                assert 2 * ours.starts[ours.targets[index]] <= found.argval <= 2 * ours.units[ours.targets[index]]
            elif found.opcode not in opcodes.REFERENCES:
                assert ours.targets[index] == -1


@pytest.mark.parametrize("module", MODULES)
def test_lines_are_those_of_positions(module):
    """An instruction has the line of its position, prefix and caches included."""
    for code in code_of(module):
        ours = Instructions(code)
        positions = list(code.co_positions())
        assert ours.lines == [positions[start][0] for start in ours.starts]
        assert [positions[unit][0] for unit in ours.units] == ours.lines


@pytest.mark.parametrize("module", MODULES)
def test_exception_tables_are_those_of_dis(module):
    """Every entry is equal, and each instruction has the handler of the entry that covers it."""
    for code in code_of(module):
        theirs = dis._parse_exception_table(code)
        decoded = instructions.exception_table(code.co_exceptiontable)
        assert [(2 * start, 2 * stop, 2 * target, rest >> 1, bool(rest & 1)) for start, stop, target, rest in decoded] == [
            (entry.start, entry.end, entry.target, entry.depth, entry.lasti) for entry in theirs
        ]
        ours = Instructions(code)
        for index, unit in enumerate(ours.units):
            covering = [(target, rest) for start, stop, target, rest in decoded if start <= unit < stop]
            handler = ours.handlers[index]
            if handler < 0:
                assert not covering
            else:
                found = ours.table[handler]
                assert covering == [(ours.starts[found.target], 2 * found.depth + found.push_lasti)]


@pytest.mark.parametrize("module", MODULES)
def test_every_unit_belongs_to_one_instruction(module):
    """Each code unit belongs to the instruction that it is a prefix, the opcode or a cache of."""
    for code in code_of(module):
        ours = Instructions(code)
        ends = [*ours.starts[1:], len(code.co_code) // 2]
        for index, (start, end) in enumerate(zip(ours.starts, ends)):
            assert {index_at(ours, unit) for unit in range(start, end)} == {index}


def test_code_that_is_cut_off_is_refused():
    """A prefix without its instruction, or missing caches, raise ValueError."""
    code = compile("print(a.b.c)", "cut", "exec")
    raw = code.co_code
    with pytest.raises(ValueError, match="cut off"):
        Instructions(code.replace(co_code=raw + bytes([dis.EXTENDED_ARG, 1])))
    last_cached = max(index for index, op in enumerate(Instructions(code).ops) if opcodes.CACHES[op])
    unit = Instructions(code).units[last_cached]
    with pytest.raises(ValueError, match="cut off"):
        Instructions(code.replace(co_code=raw[: 2 * unit + 2]))


def test_code_with_an_opcode_that_the_table_lacks_is_refused(monkeypatch):
    """It might be a jump, or have caches: the code would be taken apart in the wrong places."""
    load = opcodes.LOAD_GLOBAL
    monkeypatch.setattr(instructions, "IS_UNKNOWN", opcodes.flags_of([load]))
    with pytest.raises(ValueError, match="LOAD_GLOBAL is no opcode that this release knows"):
        Instructions(code_of.__code__)


@pytest.mark.slow
def test_all_opcodes_that_compilers_write_are_known():
    """Only opcodes that never stand in `co_code` are refused."""
    for module in MODULES:
        for code in code_of(module):
            assert 1 not in code.co_code[::2].translate(opcodes.IS_UNKNOWN)
