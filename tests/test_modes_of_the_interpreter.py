"""Counts equal those of `trace` if all imports are lazy, and under the JIT; the program keeps these modes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import Tree

PROGRAMS = Path(__file__).parent / "programs"
NAMES = [
    *("algorithm_hanoi_generator", "async_generator", "boolean_chain", "class_operators", "contextmanager"),
    *("dataclass_methods", "enum_members", "except_star", "comprehension_nested_filter", "decorator_functools"),
]
COUNT = """
import json, sys
Trace = getattr(__import__(sys.argv[1]), "Trace")
counts_of_turns = {}
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        code = compile(file.read(), path, "exec")
    for turn in range(20):  # the JIT compiles code that has become hot
        tracer = Trace(count=1, trace=0)
        names = {"__name__": "__main__", "__file__": path}
        tracer.runctx(code, names, names)
        counts = tracer.results().counts
        counts_of_turns[f"{path} {turn}"] = sorted((line, n) for (name, line), n in counts.items() if name == path)
print("\\n" + json.dumps(counts_of_turns), file=sys.__stdout__)
"""
LAZY = pytest.mark.skipif(sys.version_info < (3, 15), reason="imports are lazy from 3.15 on")
#: Under the JIT of 3.14 rewriting may fail with "No type watcher set for ID 0", an error of the JIT (PyType_Watch). Code
#: objects that are rewritten at that moment are not measured, and a warning says so.
JIT = pytest.mark.skipif(
    sys.version_info < (3, 15) or not sys._jit.is_available(), reason="there is no JIT, or that of 3.14, which raises"
)
MODES = [
    pytest.param({"PYTHON_LAZY_IMPORTS": "all"}, id="lazy", marks=LAZY),
    pytest.param({"PYTHON_JIT": "1"}, id="jit", marks=JIT),
]


def counts_of(package, mode):
    """Return a dict from "path turn" to the sorted (line, count) that the Trace of *package* counts in *mode*."""
    arguments = [sys.executable, "-c", COUNT, package, *(str(PROGRAMS / f"{name}.py") for name in NAMES)]
    done = subprocess.run(arguments, env=os.environ | mode, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("\n{")[2].join(("{", "")))


@pytest.mark.parametrize("mode", MODES)
def test_counts_equal_those_of_trace_in_each_mode(mode):
    """Ten programs, each counted twenty times in one process, have the counts of `trace` each time."""
    assert counts_of("instrument", mode) == counts_of("trace", mode)


LOOKING_AT_LAZY_MODULES = """
    import json
    import decimal
    import sys
    def dumps(x):
        return json.dumps(x)
    for n in range(3):
        dumps(n)
    print(sys.get_lazy_imports(), sys.get_lazy_imports_filter())
    print("decimal" in sys.modules, "decimal" in sys.lazy_modules, "json" in sys.modules)
    print([name for name in sys.lazy_modules if name.startswith("instrument")])
"""


@LAZY
@pytest.mark.parametrize("is_measured", [False, True])
def test_lazy_imports_of_the_program_stay_lazy(tmp_path, is_measured):
    """Modules that the program imports lazily stay lazy, the package's modules are not among them, and all is counted."""
    tree = Tree(tmp_path)
    more = {} if is_measured else {"INSTRUMENT": "0"}
    output, errors = tree.run(LOOKING_AT_LAZY_MODULES, options=["-X", "lazy_imports=all"], **more)
    assert output.splitlines() == ["all None", "False True True", "[]"]
    assert not errors
    if is_measured:
        assert tree.lines()[6] == 3


LOADING_A_LATE_MODULE = """
import sys
from instrument.guest import own_imports
run = own_imports._run
def run_beside_a_thread_that_imports_lazily(code, namespace):
    sys.lazy_modules.add("imported meanwhile")
    run(code, namespace)
own_imports._run = run_beside_a_thread_that_imports_lazily
own_imports.import_own("instrument.flow.conservation")
print([name for name in sys.lazy_modules if name.startswith(("instrument.f", "imported"))])
"""


@LAZY
def test_late_modules_take_no_lazy_import_of_the_program_away():
    """The background thread loads late modules while the program imports lazily: only the program's names are listed."""
    arguments = [sys.executable, "-X", "lazy_imports=all", "-c", LOADING_A_LATE_MODULE]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("['imported meanwhile']\n", "")


@LAZY
@pytest.mark.parametrize(
    "import_statement",
    ["from instrument import Trace", "from instrument.trace import Trace", "import instrument.trace as t; Trace = t.Trace"],
)
def test_trace_and_counting_work_if_all_imports_are_lazy(import_statement):
    """`Trace` and `counting` count, by whichever import statement the program gets them."""
    source = f"""
import json
{import_statement}
from instrument import counting
import sys
with counting("json") as counted:
    json.dumps([1])
tracer = Trace(count=1, trace=0)
tracer.run("import decimal; decimal.Decimal(1)")
print(sum(counted.counts.values()) > 0, sum(tracer.results().counts.values()) > 100, sys.get_lazy_imports())
"""
    arguments = [sys.executable, "-X", "lazy_imports=all", "-c", source]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("True True all\n", "")


@LAZY
def test_the_command_line_counts_if_all_imports_are_lazy(tmp_path):
    """`python -m instrument` writes a report with the counts of a program that imports lazily."""
    path = tmp_path / "program.py"
    path.write_text("import json\nimport decimal\nfor n in range(3):\n    json.dumps(n)\n")
    arguments = ["-m", "instrument", "--count", "--summary", "--coverdir", str(tmp_path / "cover"), str(path)]
    done = subprocess.run(
        [sys.executable, "-X", "lazy_imports=all", *arguments], capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "    3:     json.dumps(n)" in (tmp_path / "cover" / "program.cover").read_text()
