"""Facts about versions have one home, and hold for the running interpreter where a test can observe them."""

import dis
import re
import sys
import tomllib
from pathlib import Path

import pytest
from flow.codes import code_called, codes_of

from instrument.decode import versions

PACKAGE = Path(versions.__file__).parents[1]


@pytest.mark.parametrize("folder", ["decode", "flow", "rewrite"])
def test_no_other_module_compares_versions(folder):
    """Modules of decode, flow and rewrite take facts from `versions`."""
    comparing = [
        path.name
        for path in (PACKAGE / folder).glob("*.py")
        if re.search(r"version_info|hexversion|\bVERSION\b|PY3\d+", path.read_text(encoding="utf-8"))
    ]
    assert comparing == (["versions.py"] if folder == "decode" else [])


def test_this_version_is_supported():
    """The tests run on supported versions only."""
    assert versions.SUPPORTED
    assert sys.version_info[:2] == versions.VERSION


def test_the_project_names_the_supported_versions():
    """The classifiers, which `.ci/run` reads, and the environments of tox are those of SUPPORTED_VERSIONS."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    supported = [f"{major}.{minor}" for major, minor in versions.SUPPORTED_VERSIONS]
    classifiers = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", text) for text in project["project"]["classifiers"]]

    assert [match[1] for match in classifiers if match] == supported
    assert [name for name in project["tool"]["tox"]["env_list"] if name != "lint"] == supported
    assert project["project"]["requires-python"] == f">={supported[0]}"


def names_in(source):
    """Return the names of the instructions in *source*, without caches."""
    return [one.opname for code in codes_of(source) for one in dis.get_instructions(code)]


def test_calls_have_the_shape_of_this_version():
    """PRECALL, the order of callable and NULL, and the keywords of a call with a star."""
    names = names_in("f(1)")
    assert ("PRECALL" in names) == versions.CALL_NEEDS_PRECALL
    plain = names_in("def g(f): return f(1)")
    if "PUSH_NULL" in plain:
        loads = [number for number, name in enumerate(plain) if name.startswith("LOAD_FAST")]
        assert (loads[0] < plain.index("PUSH_NULL")) == versions.CALLABLE_IS_BELOW_NULL
    star = names_in("def g(f, a): return f(*a)")
    call = star.index("CALL_FUNCTION_EX")
    assert (star[call - 1] == "PUSH_NULL") == versions.STAR_CALL_PUSHES_KEYWORDS


def test_subscripts_have_the_opcode_of_this_version():
    """A subscript is a BINARY_OP with an argument of its own, or an opcode of its own."""
    code = code_called("f", "def f(a, b): return a[b]")
    subscripts = [one.arg for one in dis.get_instructions(code) if one.opname == "BINARY_OP"]
    assert subscripts == ([versions.SUBSCRIPT_BINARY_OP] if versions.SUBSCRIPT_BINARY_OP >= 0 else [])


def test_the_instructions_of_a_probe_exist():
    """They begin with the FOR_ITER that moves the counter on, which may need NULL on the stack."""
    names = [name for name in versions.ADVANCE_AND_DROP if name != "PUSH_NULL"]
    assert names[0] == "FOR_ITER"
    assert set(versions.ADVANCE_AND_DROP) <= set(dis.opmap)


def test_monitoring_is_there_as_the_fact_says():
    """PEP 669."""
    assert hasattr(sys, "monitoring") == versions.HAS_MONITORING
