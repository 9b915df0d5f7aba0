"""Libraries that read bytecode get the original of live code, and functions that are given out are noted."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from recorded import ROOT, Tree

from instrument.hooks import bytecode_readers, reader_wrappers

# Stand-ins for these libraries: the functions by which they get code.
NUMBA = """\
def get_code_object(obj):
    "Shamelessly borrowed from llpython"
    return getattr(obj, '__code__', getattr(obj, 'func_code', None))
class FunctionIdentity:
    def __init__(self, pyfunc):
        self.func = pyfunc
        self.code = get_code_object(pyfunc)
class _ByteCode:
    def __init__(self, func_id):
        self.code = func_id.code
class ByteCode(_ByteCode):
    pass
"""
PONY = """\
class Decompiler:
    def __init__(self, code, start=0, end=None):
        self.code = code
        self.end = end or len(code.co_code)
"""
CLOUDPICKLE = """\
import types
def _code_reduce(obj):
    return obj
def _extract_code_globals(co):
    return co
class Pickler:
    _dispatch_table = {types.CodeType: _code_reduce}
"""
DILL = """\
import types
class Pickler:
    dispatch = {}
    def __init__(self):
        self.memo, self.saved = {}, []
    def save(self, obj):
        if id(obj) not in self.memo:
            Pickler.dispatch[type(obj)](self, obj)
def save_code(pickler, obj):
    assert id(obj) not in pickler.memo
    pickler.memo[id(obj)] = obj
    pickler.saved.append(obj)
Pickler.dispatch[types.CodeType] = save_code
"""
PROGRAM = """\
from dill import _dill as dill
from joblib.externals.cloudpickle import cloudpickle
from numba.core import bytecode
from pony.orm.decompiling import Decompiler
def f(items):
    total = 0
    for item in items:
        if item % 3:
            total += item
    return total
def never(n):
    return n
def plain():
    with open(__file__) as file:
        code = compile(file.read(), __file__, "exec")
    return [inner for inner in code.co_consts if hasattr(inner, "co_name") and inner.co_name == "f"][0]
def main():
    print(f.__code__ == plain(), f(range(10)))
    print(bytecode.FunctionIdentity(f).code == plain(), bytecode.get_code_object(3))
    print(bytecode.get_code_object.__module__, bytecode.get_code_object.__doc__)
    print(bytecode.ByteCode(func_id=bytecode.FunctionIdentity(f)).code == plain(), bytecode.get_code_object(never) is None)
    made = Decompiler(f.__code__, end=7)
    print(made.code == plain(), made.end, Decompiler(plain()).code == plain())
    code = f.__code__
    print(cloudpickle._extract_code_globals(code) == cloudpickle._code_reduce(code) == cloudpickle.Pickler._dispatch_table[type(code)](code) == plain())
    pickler = dill.Pickler()
    for one in (code, code, plain()): pickler.save(one)
    print(pickler.saved == [plain(), plain()])
if __name__ == "__main__":
    main()
"""
SAID = "False 27\nTrue None\nnumba.core.bytecode Shamelessly borrowed from llpython\nTrue False\nTrue 7 True\nTrue\nTrue\n"
CLOUDPICKLE_FAST = """\
import types
from pyspark.cloudpickle.cloudpickle import _extract_code_globals
def _code_reduce(obj):
    return obj
class CloudPickler:
    _dispatch_table = {types.CodeType: _code_reduce}
"""
FAKES = {
    "numba/core/bytecode": NUMBA,
    "pony/orm/decompiling": PONY,
    "dill/_dill": DILL,
    "joblib/externals/cloudpickle/cloudpickle": CLOUDPICKLE,
}


@pytest.fixture
def tree(tmp_path):
    for name, source in FAKES.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True)
        for folder in path.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
        path.write_text(source, encoding="utf-8")
    return Tree(tmp_path)


def test_readers_get_originals_in_a_recorded_process(tree):
    """Except for comparisons, each function that they got is noted as given out."""
    assert tree.run(PROGRAM) == (SAID, "")
    assert tree.lines()[8] == 10
    assert given_out(tree) == [("f", 5, receiver) for receiver in ("cloudpickle", "dill", "numba", "pony")]


@pytest.mark.parametrize("before", ["", f"import {', '.join(name.replace('/', '.') for name in FAKES)}"])
def test_readers_get_originals_while_trace_measures_and_afterwards(tree, before):
    """Readers that were imported before are adapted, too. After the measurement they still get originals."""
    tree.write(PROGRAM)
    source = f"""
        {before}
        import instrument
        tracer = instrument.Trace(count=1, trace=0)
        tracer.run("import program; program.main()")
        print([n for (file, line), n in tracer.results().counts.items() if file == program.__file__ and line == 8])
        program.main()
        tracer.run("program.main()")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=tree.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tree.folder)])},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == f"{SAID}[10]\n{SAID}{SAID}"


PICKLING = """\
import pickle, subprocess, sys, types
from pyspark.cloudpickle import cloudpickle_fast
import codeutil
def by_fast(n):
    return n
def by_pickle(n):
    if n:
        return n + 1
def kept(n):
    return n
codes = cloudpickle_fast.CloudPickler._dispatch_table[types.CodeType](by_fast.__code__), by_fast.__code__
print(*(type(constant).__name__ for constant in codes[0].co_consts), len(codes[1].co_consts) > 3)
cloudpickle_fast._extract_code_globals(kept.__code__)
data = pickle.dumps(by_pickle.__code__)
worker = "import pickle, sys, types, codeutil; print(types.FunctionType(pickle.load(sys.stdin.buffer), {})(2))"
print(subprocess.run([sys.executable, "-S", "-c", worker], input=data, capture_output=True))
"""
#: As that of ipyparallel does (ipyparallel/serialize/codeutil.py).
CODEUTIL = """\
import copyreg, types
NAMES = "argcount posonlyargcount kwonlyargcount nlocals stacksize flags code consts names varnames filename name qualname"
NAMES += " firstlineno linetable exceptiontable freevars cellvars"
def make_code(*parts):
    return types.CodeType(*parts)
def reduce_code(code):
    return make_code, tuple(getattr(code, f"co_{name}") for name in NAMES.split())
copyreg.pickle(types.CodeType, reduce_code)
"""


def test_code_that_is_pickled_by_value_is_the_original(tree):
    """Older versions of cloudpickle, and functions that a program registers, pickle it for processes without us."""
    for name, source in (("cloudpickle", CLOUDPICKLE), ("cloudpickle_fast", CLOUDPICKLE_FAST)):
        path = tree.folder / "pyspark/cloudpickle" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source, encoding="utf-8")
    (tree.folder / "pyspark/__init__.py").touch()
    (tree.folder / "codeutil.py").write_text(CODEUTIL, encoding="utf-8")

    output, errors = tree.run(PICKLING, INSTRUMENT=str(tree.path))

    assert errors == ""
    first, second = output.splitlines()
    assert first in ("NoneType True", "True")
    assert "returncode=0, stdout=b'3\\n', stderr=b''" in second
    assert given_out(tree) == [("by_fast", 4, "cloudpickle"), ("by_pickle", 6, "pickle")]


def test_live_code_that_a_pickler_of_the_program_writes_is_noted_as_given_out(tree):
    """The copy is live code. Its counters belong to nobody, and it can be loaded where this package is installed."""
    source = (ROOT / "tests/programs/code_pickled_by_value.py").read_text(encoding="utf-8")

    assert tree.run(source) == ("0 1 0\n", "")
    assert given_out(tree) == [("f", 8, "pickle")]


def test_code_that_runs_in_a_namespace_out_of_scope_is_noted_as_given_out(tree):
    """It is not counted there: `trace` does not count it either."""
    source = """
        import marshal, types
        def made(n):
            return n
        def run():
            1
        def counted():
            return 3
        def never():
            return 4
        print(types.FunctionType(made.__code__, {})(1), types.FunctionType(counted.__code__, globals())())
        exec(run.__code__, {})
    """

    assert tree.run(source) == ("1 3\n", "")
    receiver = "exec or FunctionType outside of the scope"
    assert given_out(tree) == [("made", 3, receiver), ("run", 5, receiver)]
    file, _ = reported(tree)
    assert file["missing"] == [10]
    assert file["lines"]["8"]["count"] == 1


def test_code_marshalled_under_trace_in_a_recorded_process_is_noted_as_given_out(tree):
    """Of two instrumenters, it does not matter which one gives the original out."""
    source = """
        import marshal, sys
        sys.path.insert(0, %r)
        import instrument
        def sent():
            return 1
        def run():
            marshal.dumps(sent.__code__)
        if __name__ == "__main__":
            instrument.Trace(count=1, trace=0).runfunc(run)
    """

    assert tree.run(source % str(ROOT)) == ("", "")
    assert given_out(tree) == [("sent", 5, "marshal")]


def test_registrations_of_the_program_with_copyreg_take_effect(tree):
    """This package has imported its own `pickle` before, so the program has another `copyreg`."""
    source = """
        import copyreg, itertools, pickle, types
        class One: pass
        copyreg.pickle(One, lambda one: (str, ("registered",)))
        copyreg.add_extension("program", "One", 77)
        print(pickle.loads(pickle.dumps(One())), copyreg.dispatch_table is pickle.dispatch_table)
        One.__module__ = "program"
        import sys
        sys.modules["program"] = sys.modules["__main__"]
        print(len(pickle.dumps(One, 2)), len(pickle._dumps(One, 2)))
    """

    assert tree.run(source) == ("registered True\n5 5\n", "")


# Programs for the real libraries, which are not installed for most runs of the tests.
REAL = {
    "numba": """\
from numba import njit
@njit
def f(n):
    total = 0
    for one in range(n):
        if one % 3:
            total += one
    return total
print(f(10))
""",
    "pony": """\
from pony.orm import *
database = Database()
class Person(database.Entity):
    age = Required(int)
database.bind(provider="sqlite", filename=":memory:")
database.generate_mapping(create_tables=True)
with db_session:
    for age in (10, 27, 40): Person(age=age)
    print(*select(one.age for one in Person if one.age > 20 and one.age < 30))
""",
    "cloudpickle": """\
import cloudpickle, pickle
def f(n):
    return sum(one for one in range(n) if one % 3)
data = cloudpickle.dumps(f)
assert b"instrument" not in data
print(pickle.loads(data)(10))
""",
    "hypothesis": """\
from hypothesis import strategies
from hypothesis.internal import lambda_sources
print(lambda_sources._normalize_code(lambda n: n + 1, lambda n: n + 1).co_code.hex())
made = strategies.integers().map(lambda n: n * 2).filter(lambda n: n > 27)
print(made, strategies.lists(strategies.integers()).filter(lambda n: n).wrapped_strategy)
""",
    "torch": """\
import torch
def helper(x):
    for _ in range(2):
        x = x + x
    return x
def f(x):
    x = helper(x)
    print("not in a graph")
    return helper(x) + 11
print(int(torch.compile(f, backend="eager")(torch.ones(1))))
""",
}


@pytest.mark.parametrize("package", REAL)
def test_real_libraries_give_the_same_output_as_in_a_plain_run(tmp_path, package):
    """Skipped for libraries that are not installed."""
    pytest.importorskip(package)
    tree = Tree(tmp_path)
    path = os.path.dirname(os.path.dirname(sys.modules[package].__file__))
    tree.write(REAL[package])
    plain = subprocess.run(
        [sys.executable, str(tree.path)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    output, _ = tree.run(REAL[package], PYTHONPATH=os.pathsep.join([tree.environment()["PYTHONPATH"], path]))

    assert "27" in output
    assert output == plain.stdout


GIVING = """\
import marshal
from joblib.externals.cloudpickle import cloudpickle
def sent(n):
    while n:
        n -= 1
def kept(n):
    return n
def marshalled():
    return 1
def outer(n):
    def inner():
        return n
    if n:
        return inner
def never():
    return 2
if __name__ == "__main__":
    cloudpickle._code_reduce(sent.__code__)
    cloudpickle._code_reduce(outer.__code__)
    cloudpickle._extract_code_globals(kept.__code__)
    marshal.dumps(marshalled.__code__)
    marshal.dumps(compile("1", __file__, "eval"))
"""


def given_out(tree):
    """Return (name, first line, receiver) of each function of the program in *tree* that was given out, sorted."""
    rows = tree.rows("SELECT path, name, line, taker FROM given_out JOIN file ON file.id = given_out.file")
    return sorted((name, line, receiver) for path, name, line, receiver in rows if path == str(tree.path))


def reported(tree, *data):
    """Return the output of `report --json --unused-for 0s` for the program in *tree*: its file, and the remarks."""
    done = subprocess.run(
        [sys.executable, "-m", "instrument", "report", "--json", "--unused-for", "0s", *(data or [str(tree.data)])],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tree.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    document = json.loads(done.stdout)
    [file] = [file for file in document["files"] if file["path"] == str(tree.path)]
    return file, document["remarks"]


def test_reports_call_no_line_of_a_function_that_was_given_out_missing(tree):
    """Such a function may have run elsewhere, uncounted. Other lines of the file are missing if they did not run."""
    assert tree.run(GIVING) == ("", "")

    assert tree.rows("SELECT path, reason FROM not_measured") == []
    assert given_out(tree) == [("marshalled", 8, "marshal"), ("outer", 10, "cloudpickle"), ("sent", 3, "cloudpickle")]
    file, remarks = reported(tree)
    assert file["missing"] == [7, 16]
    assert set(file["uncertain"]) >= {4, 5, 9, 11, 12, 13, 14}
    assert [one["name"] for one in file["unused"]["functions"] if one["kind"] == "function"] == ["kept", "never"]
    calls = {one["name"]: one["calls"] for one in file["functions"] if one["kind"] == "function"}
    assert [name for name, n in calls.items() if n is None] == ["marshalled", "outer", "outer.<locals>.inner", "sent"]
    assert [name for name, n in calls.items() if n == 0] == ["kept", "never"]
    assert not set(map(int, file["unused"]["lines"])) & {4, 5, 9, 11, 12, 13, 14}
    assert remarks[-1] == (
        "cloudpickle, marshal got the code of 3 functions, which may have run elsewhere, uncounted. "
        "No line of them is called missing: "
        "sent (program.py, line 3), marshalled (program.py, line 8), outer (program.py, line 10)"
    )


TORCH = {
    "convert_frame": """\
def _compile(code, compiler):
    return code, compiler
""",
    "variables/functions": """\
class UserFunctionVariable:
    def __init__(self, function): self.function = function
    def get_code(self): return self.function.__code__
class WrapperUserFunctionVariable(UserFunctionVariable):
    def get_code(self): return self.function.__code__
""",
    "trace_rules": """\
skipped = []
def add(name): skipped.append(name)
""",
    "output_graph": """\
import types
def make(code): return types.FunctionType(code, {"__file__": code.co_filename, "__name__": "__main__"})
""",
}
COMPILING = """\
from torch._dynamo import convert_frame, output_graph, trace_rules
from torch._dynamo.variables.functions import UserFunctionVariable, WrapperUserFunctionVariable
def whole(n):
    return n
def called(n):
    return n
def wrapped(n):
    return n
if __name__ == "__main__":
    with open(__file__) as file:
        plain = {one.co_name: one for one in compile(file.read(), __file__, "exec").co_consts if hasattr(one, "co_name")}
    code, compiler = convert_frame._compile(whole.__code__, called)
    print(code == plain["whole"], compiler is called)
    print(UserFunctionVariable(called).get_code() == plain["called"])
    print(WrapperUserFunctionVariable(wrapped).get_code() == plain["wrapped"])
    print(trace_rules.skipped, output_graph.make(plain["whole"]).__code__ == plain["whole"])
"""


def test_code_that_torch_compiles_is_the_original(tree):
    """Functions among the arguments of its compiler stay as they are, and code that it makes runs unchanged."""
    for name, source in TORCH.items():
        path = tree.folder / "torch/_dynamo" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(tree.folder).parents[:-1]:
            (tree.folder / folder / "__init__.py").touch()
        path.write_text(source, encoding="utf-8")

    assert tree.run(COMPILING, INSTRUMENT=str(tree.path)) == ("True True\nTrue\nTrue\n['instrument'] True\n", "")
    assert given_out(tree) == [(name, line, "torch.compile") for name, line in (("called", 5), ("whole", 3), ("wrapped", 7))]


def test_the_wrappers_are_for_the_modules_that_are_known_as_readers():
    """A start has the names only, and loads the wrappers with the first reader."""
    assert bytecode_readers._READERS == reader_wrappers._READERS.keys()
    assert bytecode_readers._SENDERS == reader_wrappers._SENDERS.keys()
    assert all(map(reader_wrappers._entrances, ("copy.cloudpickle", "copy.cloudpickle_fast")))
