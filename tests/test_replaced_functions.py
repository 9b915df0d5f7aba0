"""The package does not call functions of the standard library that a program has replaced, and loses no counts."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from recorded import ROOT, Tree

#: Replaces functions by wrappers that note each call. A wrapper raises if its function was not called without measurement.
#: Arguments: the file for the notes; the file of a run without measurement; "trace" if a Trace is to count, else "plain"
#: or "tree".
PROGRAM = """
    import _imp, _opcode, _signal, _thread, _weakrefset, array, atexit, collections, errno, functools, gc, genericpath
    import io, itertools, json, linecache, marshal, operator, os, pathlib, posix, posixpath, queue, random, select
    import shutil, signal, socket, sqlite3, stat, struct, sys, tempfile, threading, time, traceback, types, uuid
    import warnings, weakref, zlib
    import importlib._bootstrap, importlib._bootstrap_external

    if sys.argv[3] == "trace":
        from instrument import Trace
        tracer = Trace(count=1, trace=0)
        tracer.runctx("pass", {}, {})

    write, encode = posix.write, str.encode
    fork, waitpid, exit, lock = posix.fork, posix.waitpid, SystemExit, _thread.allocate_lock()
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with open(sys.argv[2]) as stream:
        called_by_plain = set(stream.read().split())
    raises = sys.argv[3] != "plain"

    def replaced(name, original):
        def wrapper(*arguments, **more):
            write(file, encode(name + "\\n"))
            if raises and name not in called_by_plain:
                raise RuntimeError(name)
            return original(*arguments, **more)
        return wrapper

    def replace_functions():
        # In a function, not at the module's level: there 3.15 imports what a module imports lazily when `value` is read.
        kept = "sys._getframe", "sys.exc_info"
        for module in list(sys.modules.values()):
            name = module.__name__
            if name.partition(".")[0] in sys.stdlib_module_names and name not in ("builtins", "_sre", "__main__"):
                for key, value in list(vars(module).items()):
                    is_function = isinstance(value, (types.FunctionType, types.BuiltinFunctionType))
                    if is_function and not key.startswith("__") and f"{name}.{key}" not in kept:
                        setattr(module, key, replaced(f"{name}.{key}", value))
    replace_functions()
    os.environ = {"OTHER": "1"}
    threading.Thread = threading.Timer = None

    def work():
        import one
        space = {"__name__": "one", "__file__": one.__file__}
        exec("def f(n):\\n    return n\\nf(3)", space)
        exec(compile("x = 1\\n", "two", "exec"), space)
        pid = fork()
        if pid == 0:
            import two
            raise exit(0)
        waitpid(pid, 0)
        lock.acquire()
        lock.acquire(True, 1.5)
        import late
        late.many()

    if sys.argv[3] == "trace":
        tracer.runfunc(work)
        print(tracer.results().counts[sys.modules["one"].__file__.replace("one", "late"), 4])
    else:
        work()
"""
MODULE = "def many():\n    total = 0\n    for n in (1, 2, 3):\n        total += n\n    return total\nmany()\n"


@pytest.mark.skipif(os.name != "posix", reason="the program forks")
@pytest.mark.parametrize("way", ["tree", "trace"])
def test_replaced_functions_get_the_same_calls_as_without_measurement(tmp_path, way):
    """That holds for imports, exec'd texts, forks, flushes and the exit, with an empty cache and with a filled one."""
    tree = Tree(tmp_path / "program")
    tree.folder.mkdir()
    tree.data = tmp_path / "data"
    for name in ("one", "two", "late"):
        (tree.folder / f"{name}.py").write_text(MODULE, encoding="utf-8")
    plain = tmp_path / "plain"
    nothing = tmp_path / "nothing"
    nothing.touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    environment |= {
        "PYTHONDONTWRITEBYTECODE": "1",
        "INSTRUMENT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }
    tree.write(PROGRAM)

    def run(*arguments, **more):
        command = [sys.executable, str(tree.path), *map(str, arguments)]
        done = subprocess.run(
            command, env=environment | more, cwd=tree.folder, capture_output=True, text=True, timeout=50
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run(plain, nothing, "plain") == ""
    for n in range(2):
        counted = tmp_path / f"counted{n}"
        (tree.folder / "late.py").write_text(f"{MODULE}x = {n}\n", encoding="utf-8")  # a new text, which is not in the cache
        more = tree.environment(flush=0.5, **environment) if way == "tree" else {}
        assert run(counted, plain, way, **more) == ("6\n" if way == "trace" else "")
        expected, actual = (Counter(path.read_text().splitlines()) for path in (plain, counted))
        assert (actual - expected, expected - actual) == (Counter(), Counter())
        assert sum(actual.values()) > 10
    if way == "tree":
        assert tree.lines("late.py")[4] == 12
