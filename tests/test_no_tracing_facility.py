"""Counting needs none of the interpreter's tracing facilities, and leaves all of them to the program.

Said twice: no source file of the package names one, and none is active while a measured program looks for them.
"""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "instrument"

# Attributes of sys, threading or a frame, and functions of C, by which code is told of other code's steps.
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

# Prints what it finds active: in its module, a function, a generator, a handler, a thread, and at exit.
PROGRAM = """
import atexit, json, sys, threading

found = []

def look(where):
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
    found.append([where, {name: repr(value) for name, value in active.items() if value is not None}])

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
atexit.register(lambda: print(json.dumps(found)))
"""
PLACES = ["module", "function", "generator", "handler", "thread"]

ASK = {
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


@pytest.mark.parametrize("path", sorted(HOUSE.rglob("*.py")), ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_source_file_names_a_tracing_facility(path):
    """Neither as a name, nor as an attribute, nor in a string by which it could be looked up."""
    named = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                named.update(name.split("."))
            case ast.Constant(value=str(text)) if id(node) not in prose:
                named.add(text)

    assert not named & FACILITIES


def what_is_active(arguments, folder):
    """Run Python with *arguments*; return what the measured program found active, by place."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


@pytest.mark.parametrize("how", ASK)
def test_nothing_is_active_in_a_measured_program(how, program, tmp_path):
    """Whatever is counted or printed, the program sees neither tracer, nor profiler, nor monitoring tool."""
    found = what_is_active(["-c", ASK[how], str(program)], tmp_path)

    assert {place for place, _ in found} == set(PLACES)
    assert all(active == {} for _, active in found), found


@pytest.mark.parametrize("options", [["--count"], ["--trace"], ["--listfuncs"], ["--trackcalls"]], ids=" ".join)
def test_nothing_is_active_under_the_command_line(options, program, tmp_path):
    """`python -m instrument` keeps the same promise for each of its main options."""
    found = what_is_active(["-m", "instrument", *options, "--coverdir", str(tmp_path), str(program)], tmp_path)

    assert {place for place, _ in found} == set(PLACES)
    assert all(active == {} for _, active in found), found


def test_the_program_would_notice(program, tmp_path):
    """Under the standard library's `trace` the same program does find a tracer, so that its silence means something."""
    found = what_is_active(["-m", "trace", "--count", "--coverdir", str(tmp_path), str(program)], tmp_path)

    assert all("settrace" in active for _, active in found), found
