"""Executable lines and names of modules are those of the running interpreter's own `trace`, which is the oracle."""

import importlib
import io
import os
import sys
import trace
from contextlib import redirect_stderr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_results.sources import sources

from instrument.analysis import exclusions, trace_lines

MODULES = ["argparse", "ast", "asyncio.base_events", "calendar", "dataclasses", "enum", "heapq", "inspect"]
MODULES += ["json.decoder", "pickle", "pprint", "statistics", "textwrap", "trace", "typing", "unittest.case"]


@settings(deadline=None)
@given(source=sources)
def test_executable_lines_are_those_of_trace(tmp_path_factory, source):
    """A source with any encoding and any line ends has the executable lines that `trace` finds."""
    path = tmp_path_factory.mktemp("sources") / "sample.py"
    path.write_bytes(source)

    assert trace_lines.executable_lines(str(path)) == trace._find_executable_linenos(str(path))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.slow
def test_executable_lines_of_the_standard_library_are_those_of_trace(name):
    """Modules of the standard library have the executable lines, strings and line tables that `trace` finds."""
    path = importlib.util.find_spec(name).origin
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)

    assert trace_lines.executable_lines(path) == trace._find_executable_linenos(path)
    assert trace_lines.find_strings(path, "utf-8") == trace._find_strings(path, "utf-8")
    assert trace_lines.find_lines(code, {}) == trace._find_lines(code, {})
    assert trace_lines.find_lines_from_code(code, {1: 1}) == trace._find_lines_from_code(code, {1: 1})


def test_annotations_are_executable_as_in_the_file_itself(tmp_path):
    """A file is compiled with its own `__future__` imports, and without those of this package."""
    path = tmp_path / "sample.py"
    path.write_text("def f(\n    x: int,\n    y: (\n        int\n    ),\n): ...\nz: int = 1\n", encoding="utf-8")

    assert trace_lines.executable_lines(str(path)) == trace._find_executable_linenos(str(path))


def test_code_nested_very_deeply_has_its_lines_found():
    """Ten thousand nested code objects do not exhaust the stack."""
    code = compile("\nx", "sample.py", "exec")
    for _ in range(10_000):
        code = code.replace(co_consts=(code,))

    assert 2 in trace_lines.find_lines(code, {})


def test_a_file_that_cannot_be_read_has_no_executable_lines(tmp_path):
    """`find_executable_lines` returns nothing, and prints the message of `trace`."""
    path = str(tmp_path / "missing.py")
    with redirect_stderr(io.StringIO()) as ours:
        found = trace_lines.find_executable_lines(path)
    with redirect_stderr(io.StringIO()) as theirs:
        trace._find_executable_linenos(path)

    assert found == {}
    assert ours.getvalue() == theirs.getvalue() != ""


names = st.text("ab./", max_size=6).map(lambda path: path.replace("/", os.sep))


@settings(deadline=None)
@given(path=names, entries=st.lists(names, max_size=4))
def test_module_names_are_those_of_trace(path, entries):
    """With any `sys.path`, a path has the module names that `trace` gives it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", entries)
        assert trace_lines.module_name(path) == trace._modname(path)
        try:
            expected = trace._fullmodname(path)
        except IndexError:
            # `trace` stumbles over a path that stands on `sys.path` itself.
            trace_lines.full_module_name(path)
        else:
            assert trace_lines.full_module_name(path) == expected


def test_pragma_is_that_of_trace():
    """The comment that excludes a line is the one of `trace`."""
    assert exclusions.PRAGMA_NOCOVER == trace.PRAGMA_NOCOVER
