"""The table of opcodes names every opcode of the running interpreter, and no other, by the right kind."""

import opcode
import sys

import pytest

from instrument.decode import opcodes
from instrument.decode.opcodes import OPCODES, TABLE, OpcodeKind
from instrument.decode.versions import SUPPORTED_VERSIONS

VERSION = sys.version_info[:2]
NOT_IN_CODE = {OpcodeKind.CACHE, OpcodeKind.INTERNAL, OpcodeKind.PSEUDO}


def names_in(version):
    """Return the names of the opcodes that the table gives to *version*, each with its kinds."""
    kinds = {}
    for kind, rows in TABLE.items():
        for first, last, names in rows:
            if first <= version <= last:
                for name in names.split():
                    kinds.setdefault(name, []).append(kind)
    return kinds


def test_each_opcode_of_this_interpreter_is_in_the_table():
    """If this fails, give each opcode that it names a row in the table, of the kind that its definition tells."""
    missing = ", ".join(sorted(OPCODES.keys() - names_in(VERSION).keys()))
    assert not missing, f"{missing} is missing in decode.opcodes.TABLE for {VERSION}"


def test_each_opcode_in_the_table_exists_in_the_versions_of_its_row():
    """If this fails, the opcodes that it names were removed or renamed: end their rows at the version before."""
    removed = ", ".join(sorted(names_in(VERSION).keys() - OPCODES.keys()))
    assert not removed, f"{removed} of decode.opcodes.TABLE does not exist in {VERSION}"


def test_each_row_is_of_a_supported_version():
    """No row of the table ends before the first supported version, or begins after the last."""
    for rows in TABLE.values():
        for first, last, names in rows:
            assert SUPPORTED_VERSIONS[0] <= first <= last <= SUPPORTED_VERSIONS[-1], names


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_each_opcode_has_one_kind_in_a_version(version):
    """No name stands in two rows of one version."""
    assert [name for name, kinds in names_in(version).items() if len(kinds) > 1] == []


def test_jumps_are_the_opcodes_with_a_relative_distance():
    """Jumps, branches and references are the opcodes that `opcode.hasjrel` has."""
    relative = {op for op in opcode.hasjrel if op < 256 and not opcode.opname[op].startswith("INSTRUMENTED")}
    assert opcodes.JUMPS | opcodes.REFERENCES == relative
    assert not opcodes.JUMPS & opcodes.REFERENCES
    assert not opcode.hasjabs


def test_pseudo_opcodes_are_those_beyond_one_byte():
    """An opcode of code takes one byte."""
    pseudo = {name for name, (kind,) in names_in(VERSION).items() if kind == OpcodeKind.PSEUDO}
    assert pseudo == {name for name, op in OPCODES.items() if op > 255}


def test_an_opcode_that_no_version_has_is_refused():
    """A misspelt or renamed opcode is an error, an opcode of another version is left out."""
    with pytest.raises(ValueError, match=r"^the table of opcodes lacks LOAD_FASTER, NOOP$"):
        opcodes.opcodes("NOP", "LOAD_FASTER", "NOOP")
    with pytest.raises(ValueError, match="LOAD_FASTER"):
        opcodes.opcode_called("LOAD_FASTER")
    assert opcodes.opcodes("NOP", "PRECALL") == {OPCODES["NOP"], *([OPCODES["PRECALL"]] if VERSION == (3, 11) else [])}
    assert (opcodes.opcode_called("POP_ITER") == -1) == (VERSION < (3, 14))


def test_constants_are_opcodes_of_code():
    """Every set and every single opcode that this module offers can occur in `co_code`."""
    in_code = {OPCODES[name] for name, (kind,) in names_in(VERSION).items() if kind not in NOT_IN_CODE}
    sets = [value for value in vars(opcodes).values() if isinstance(value, frozenset)]
    assert len(sets) > 10
    for values in sets:
        assert values <= in_code
    for name in OPCODES:
        if hasattr(opcodes, name):
            assert getattr(opcodes, name) == OPCODES[name]
