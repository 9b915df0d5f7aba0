"""The package uses none of the interpreter's tracing facilities.

Two tests show that: no source file of the package names one, and a measured program finds none active.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from house import syntax_trees

ROOT = Path(__file__).parents[1]

# Attributes of `sys`, `threading` and frames, and functions of C, that report the steps of other code.
FACILITIES = {
    "_setprofileallthreads",
    "_settraceallthreads",
    "f_trace",
    "f_trace_lines",
    "f_trace_opcodes",
    "monitoring",
    "setprofile",
    "setprofile_all_threads",
    "settrace",
    "settrace_all_threads",
    "PyEval_SetProfile",
    "PyEval_SetTrace",
    "call_tracing",
}

# Writes the facilities that are active in its module, a function, a generator, a handler and a thread to a file. Standard
# output will not do. Two threads that print at once, as under `trace`, can make Python write bytes of its memory there
# (CPython issue 119506).
PROGRAM = """
import atexit, json, sys, threading

found = []

def look(place):
    frame = sys._getframe(1)
    active = {
        "settrace": sys.gettrace(), "setprofile": sys.getprofile(),
        "threading.settrace": getattr(threading, "gettrace", lambda: None)(),
        "threading.setprofile": getattr(threading, "getprofile", lambda: None)(),
        "f_trace": frame.f_trace,
    }
    if hasattr(sys, "monitoring"):
        for tool in range(6):
            active[f"monitoring {tool}"] = sys.monitoring.get_tool(tool)
    found.append([place, {name: repr(value) for name, value in active.items() if value is not None}])

def generator():
    look("generator")
    yield

def function():
    look("function")
    list(generator())
    try:
        raise ValueError
    except ValueError:
        look("handler")

look("module")
function()
thread = threading.Thread(target=look, args=("thread",))
thread.start()
thread.join()
def write():
    with open("found.json", "w") as file:
        json.dump(found, file)

atexit.register(write)
"""
PLACES = ["module", "function", "generator", "handler", "thread"]

MEASURING = {
    "run": """
import sys, instrument.trace
source = open(sys.argv[1]).read()
tracer = instrument.trace.Trace(count=1, trace=0)
scope = {"__file__": sys.argv[1], "__name__": "measured"}
tracer.runctx(compile(source, sys.argv[1], "exec"), scope, scope)
assert any(name == sys.argv[1] for name, line in tracer.results().counts)
""",
    "runfunc": """
import sys, runpy, instrument.trace
tracer = instrument.trace.Trace(count=1, trace=0)
tracer.runfunc(runpy.run_path, sys.argv[1])
""",
    "run, placement line": """
import sys, instrument.trace
source = open(sys.argv[1]).read()
tracer = instrument.trace.Trace(count=1, trace=0, placement="line")
scope = {"__file__": sys.argv[1], "__name__": "measured"}
tracer.runctx(compile(source, sys.argv[1], "exec"), scope, scope)
""",
    "printing": """
import sys, instrument.trace
source = open(sys.argv[1]).read()
tracer = instrument.trace.Trace(count=1, trace=1)
scope = {"__file__": sys.argv[1], "__name__": "measured"}
tracer.runctx(compile(source, sys.argv[1], "exec"), scope, scope)
""",
    "functions and callers": """
import sys, instrument.trace
source = open(sys.argv[1]).read()
for options in ({"countfuncs": 1}, {"countcallers": 1}):
    tracer = instrument.trace.Trace(count=0, trace=0, **options)
    scope = {"__file__": sys.argv[1], "__name__": "measured"}
    tracer.runctx(compile(source, sys.argv[1], "exec"), scope, scope)
""",
}


@pytest.mark.slow
def test_no_source_file_names_a_tracing_facility():
    """No name, attribute or string of a source file is the name of a facility; docstrings are not looked at."""
    found = {(path, name) for path, tree in syntax_trees().items() for name in names_and_strings(tree) & FACILITIES}
    assert found == set()


def names_and_strings(tree):
    """Return the set of all names, attributes and strings of *tree*, without docstrings."""
    named = set()
    nodes = list(ast.walk(tree))
    prose = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                named.update(name.split("."))
            case ast.Constant(value=str(text)) if id(node) not in prose:
                named.add(text)
    return named


def active_facilities(arguments, folder):
    """Run Python with *arguments*; return the list of [place, {facility: its value}] that the program wrote."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


@pytest.mark.parametrize("way", MEASURING)
def test_a_measured_program_finds_no_active_facility(way, program, tmp_path):
    """With each option of `Trace`, the program finds neither tracer, nor profiler, nor monitoring tool."""
    found = active_facilities(["-c", MEASURING[way], str(program)], tmp_path)

    assert {place for place, _ in found} == set(PLACES)
    assert all(active == {} for _, active in found), found


@pytest.mark.parametrize("options", [["--count"], ["--trace"], ["--listfuncs"], ["--trackcalls"]], ids=" ".join)
def test_a_program_under_the_command_line_finds_no_active_facility(options, program, tmp_path):
    """With each main option of `python -m instrument`, the program finds no active facility."""
    found = active_facilities(["-m", "instrument", *options, "--coverdir", str(tmp_path), str(program)], tmp_path)

    assert {place for place, _ in found} == set(PLACES)
    assert all(active == {} for _, active in found), found


def test_the_program_finds_the_tracer_of_trace(program, tmp_path):
    """Under the standard library's `trace` the program finds a tracer everywhere: it does detect active facilities."""
    found = active_facilities(["-m", "trace", "--count", "--coverdir", str(tmp_path), str(program)], tmp_path)

    assert all("settrace" in active for _, active in found), found
