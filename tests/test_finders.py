"""Finders of the program are asked for the same modules as in a plain run, or under `trace`."""

import os
import subprocess
import sys

import pytest
from recorded import Tree

ASKED = """
import sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        asked.append(name)

def hook(path):
    if path.endswith("nowhere"):
        asked.append(path)
    raise ImportError

asked = []
sys.meta_path.insert(0, Finder)
sys.path_hooks.insert(0, hook)
sys.path.insert(0, "nowhere")
sys.path_importer_cache.clear()
import zlib, bisect, array, struct, math, json, hashlib, pickle, gc, itertools, random, functools
assert zlib.decompress(zlib.compress(b"x")) == b"x" and bisect.bisect([1], 1) == 1 and zlib.error and array.array("i", [1])
assert list(itertools.repeat(1, 2)) == [1, 1] and functools.reduce(max, [1, 2]) == 2 and pickle.loads(pickle.dumps(1))
print("asked", *sorted(asked))
"""


def asked_by(arguments, **how):
    """Run the interpreter with *arguments*; return the sorted names for which the program's finders were asked."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=50, **how)
    assert (done.returncode, done.stderr) == (0, "")
    return next(line for line in done.stdout.splitlines() if line.startswith("asked")).split()


@pytest.mark.parametrize("how", ["variable", "run"])
def test_a_recorded_process_asks_for_the_same_modules_as_a_plain_run(tmp_path, how):
    """Recorded by the environment variable, and by `instrument run`. The second run finds all code in the cache."""
    tree = Tree(tmp_path)
    tree.write(ASKED)
    environment = tree.environment()
    without = {name: value for name, value in environment.items() if name not in ("INSTRUMENT", "PYTHONPATH")}
    plain = asked_by([str(tree.path)], cwd=tmp_path, env=without)
    command = [] if how == "variable" else ["-m", "instrument", "run"]
    if command:
        environment = without
    for _ in range(2):
        assert asked_by([*command, str(tree.path)], cwd=tmp_path, env=environment) == plain


def test_the_command_line_asks_for_the_same_modules_as_that_of_trace(tmp_path):
    """`python -m instrument` and `python -m trace`."""
    path = tmp_path / "program.py"
    path.write_text(ASKED)
    arguments = ["--count", "--coverdir", str(tmp_path / "cover"), str(path)]
    asked = [asked_by(["-m", module, *arguments], cwd=tmp_path, env=os.environ) for module in ("instrument", "trace")]
    assert asked[0] == asked[1]


def test_the_trace_class_asks_for_the_same_modules_as_that_of_trace(tmp_path):
    """A program calls `Trace.run`."""
    asked = []
    for module in "instrument", "trace":
        source = f"from {module} import Trace\nTrace(count=1, trace=0).run({ASKED!r})"
        asked.append(asked_by(["-c", source], cwd=tmp_path, env=os.environ))
    assert asked[0] == asked[1]
