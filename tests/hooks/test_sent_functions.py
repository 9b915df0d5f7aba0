"""Functions that a counted program sends to other interpreters of its process arrive as in a plain run."""

import os
import subprocess
import sys

import pytest
from recorded import ROOT

PROGRAM = """\
import sys
import _interpreters as low
try:
    from concurrent import interpreters
except ImportError:
    from test.support import interpreters
LIMIT = 3
def whole():
    n = 0
    for i in range(3):
        n += i
def adds(a, b):
    return a + b
def below(a, limit=4):
    return a < limit and a < LIMIT
def attempt(name, call):
    try:
        print(name, call())
    except Exception as error:
        print(name, type(error).__name__, str(error).partition(" at 0x")[0])
def main():
    number = low.create()
    named = low.exec
    attempt("function", lambda: low.exec(number, whole))
    attempt("code", lambda: low.exec(number, whole.__code__))
    attempt("other name", lambda: named(number, whole))
    attempt("star", lambda: low.exec(*(number, whole)))
    attempt("keyword", lambda: low.exec(number, code=whole))
    attempt("text", lambda: low.exec(number, "x = 1"))
    attempt("run_func", lambda: low.run_func(number, whole))
    attempt("call", lambda: low.call(number, whole))
    attempt("argument", lambda: low.exec(number, adds))
    attempt("closure", lambda: low.exec(number, lambda: number))
    low.destroy(number)
    one = interpreters.create()
    attempt("Interpreter.exec", lambda: one.exec(whole))
    attempt("Interpreter.call", lambda: one.call(whole))
    if sys.version_info >= (3, 14):
        local = lambda a: a + 1
        # `trace` and this package fail alike for functions of `__main__`: the interpreter sends them by name.
        attempt("lambda", lambda: one.call(local, 3))
        attempt("arguments", lambda: one.call(adds, 1, b=2))
        attempt("function as argument", lambda: one.call((lambda f, n: f(n)), local, 3))
        attempt("variable", lambda: one.prepare_main(local=main))
        queue = interpreters.create_queue()
        queue.put(local)
        print(queue.get()(4))
        from concurrent.futures import InterpreterPoolExecutor
        with InterpreterPoolExecutor(1) as pool:
            print(list(pool.map(local, range(3))), pool.submit(sys.intern, "a").result())
    one.close()
    print(whole(), adds(1, 2), below(1))
if __name__ == "__main__":
    main()
"""
TRACED = """\
import importlib, sys
tool = importlib.import_module(sys.argv[1])
tracer = tool.Trace(count=1, trace=0)
import program
tracer.runfunc(program.main)
print(sorted((line, n) for (file, line), n in tracer.results().counts.items() if file == program.__file__))
"""


@pytest.mark.skipif(sys.version_info < (3, 13), reason="older interpreters accept only text from other interpreters")
def test_functions_that_are_sent_to_other_interpreters_run_as_in_a_plain_run(tmp_path):
    """Results and errors are the same, and calls in this interpreter are counted as `trace` counts them."""
    pytest.importorskip("_interpreters")
    pytest.importorskip("concurrent.interpreters" if sys.version_info >= (3, 14) else "test.support.interpreters")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(tmp_path)])

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    plain = run("-c", "import program; program.main()")
    *expected, counts = run("-c", TRACED, "trace")
    *found, counted = run("-c", TRACED, "instrument")

    assert any(line.startswith("function None") for line in plain)
    assert expected == plain
    assert found == plain
    assert counted == counts
