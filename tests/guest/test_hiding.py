"""Profilers, tracers and tools of `sys.monitoring` see the functions of the program, but no function of the package."""

import os
import subprocess
import sys
import textwrap

import pytest
from recorded import ROOT

from instrument.guest import hiding

needs_hiding = pytest.mark.skipif(not hiding.CAN_HIDE, reason="3.11 raises events of calls and returns for all code")

#: Works once before any tool is on, so that the code that it executes is rewritten by then.
PROGRAM = """\
import cProfile, marshal, pstats, sys, types
code = compile("def f(): return 1\\nf()", __file__, "exec")
watched = []
IMPORTS = sys.version_info < (3, 15)  # from 3.15 on, functions with exception handlers are visible
def work():
    for _ in range(2):
        exec(code, globals())
        exec(*(code, globals()))
        types.FunctionType(code, globals())()
        marshal.dumps(f.__code__)
        if IMPORTS:
            print(eval("1 + 1"))
            try: exec("x = = 1")
            except SyntaxError as error: print(error)
    try: exec(code, 3)
    except TypeError as error: print(error)
def where(code):
    return code.co_filename.rpartition("/")[2], code.co_name
def watch(frame, event, argument):
    watched.append((event, *where(frame.f_code), getattr(argument, "__name__", "") if event[:2] == "c_" else ""))
def shown():
    for each in watched: print(*each)
    watched.clear()
def by_setprofile():
    sys.setprofile(watch)
    work()
    if IMPORTS:
        import helper
        helper.help()
    sys.setprofile(None)
    shown()
def by_cprofile():
    profile = cProfile.Profile()
    profile.enable()
    work()
    profile.disable()
    for (file, _, name), (*_, callers) in sorted(pstats.Stats(profile).stats.items()):
        print(file.rpartition("/")[2], name, sorted(caller[2] for caller in callers))
def by_monitoring():
    tools = sys.monitoring
    tools.use_tool_id(4, "test")
    tools.register_callback(4, tools.events.CALL, lambda code, _, called, argument: watched.append((*where(code), getattr(called, "__name__", ""))))
    tools.register_callback(4, tools.events.PY_START, lambda code, _: watched.append(where(code)))
    tools.set_events(4, tools.events.CALL | tools.events.PY_START)
    work()
    if IMPORTS: import other
    tools.set_events(4, 0)
    tools.free_tool_id(4)
    shown()
def main():
    work()
    by_setprofile()
    by_cprofile()
    if sys.version_info >= (3, 12): by_monitoring()
"""
HELPER = "def help():\n    return 1\n"
COUNTED = """\
import instrument
tracer = instrument.Trace(count=1, trace=0)
import program
tracer.runfunc(program.main)
"""
# Modules of `bytecode` whose functions stay visible: they call `super`, which needs their frame.
VISIBLE = ("concrete.py", "bytecode.py")


@needs_hiding
def test_tools_get_the_same_events_as_in_a_plain_run(tmp_path):
    """Events are calls of Python and C functions, returns, imports and exceptions; and there are sums of a profile.

    There is no cache here: the bytecode of a cached module is not read, and fewer functions of importlib run.
    """
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    for name in ("helper", "other"):
        (tmp_path / f"{name}.py").write_text(HELPER, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["INSTRUMENT_CACHE"] = ""

    def run(source):
        command = [sys.executable, "-c", source]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    plain = run("import program; program.main()")
    counted = run(COUNTED)
    counted = [line for line in counted if not any(name in line.split() for name in VISIBLE)]

    assert len(plain) > 50
    assert counted == plain


@needs_hiding
def test_a_hidden_function_has_no_frame():
    """`sys._getframe`, `f_back` and tracebacks leave it out. Its result and its exceptions are the same."""

    @hiding.unseen
    def between(call):
        call()
        return call()

    def names():
        frame, found = sys._getframe(), []
        while frame is not None and len(found) < 2:
            found.append(frame.f_code.co_name)
            frame = frame.f_back
        return found

    def fail():
        raise KeyError(1)

    assert between(names) == ["names", "test_a_hidden_function_has_no_frame"]
    with pytest.raises(KeyError) as raised:
        between(fail)
    assert [entry.name for entry in raised.traceback] == ["test_a_hidden_function_has_no_frame", "fail"]


@needs_hiding
def test_a_function_that_uses_frames_is_not_hidden():
    """It would get the frame of its caller. Code of modules and classes, and of handlers on 3.15, is not hidden either."""

    def looks():
        return sys._getframe()

    def handles():
        try:
            return 1
        except ValueError:
            return 2

    source = "import sys\nclass A:\n    def f(self): return super().f\n    def g(self): return 1\n"
    code = compile(textwrap.dedent(source), "a.py", "exec")
    made = {inner.co_name: inner for inner in _all_in(hiding.hide(code))}
    kept = {inner.co_name: inner for inner in _all_in(code)}

    assert hiding.hide(looks.__code__) is looks.__code__
    assert (hiding.hide(handles.__code__) is handles.__code__) == (sys.version_info >= (3, 15))
    assert [name for name in kept if made[name].co_code != kept[name].co_code] == ["g"]


def _all_in(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _all_in(constant)
