"""The modules of this package that a start needs come from one file, which is as good as their own files."""

import os
import shutil
import subprocess
import sys
from collections import OrderedDict

import pytest
from recorded import ROOT

SHOW = """
import os, sys
from instrument.guest import own_loader
from instrument.flow import graph
late = sorted(set(own_loader._loaded))
print(os.path.dirname(own_loader.__file__), own_loader._together() in os.environ["WRITTEN"], late)
print(getattr(graph, "EDITED", None), graph.build.__code__.co_filename)
print(sorted(name for name in own_loader._kept if name in ("instrument.flow.graph", "instrument.commands.report")))
"""


@pytest.fixture
def package(tmp_path):
    """Return a folder with a copy of the package, and a function that runs a measured process with it."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "instrument", home / "instrument", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def run(home, source=SHOW, **options):
    """Return the lines that *source* prints in a measured process, which has nothing to say itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, (home, home / "instrument" / "bootstrap")))}
    environment |= {"INSTRUMENT": "1", "INSTRUMENT_DIR": str(home / "data"), "INSTRUMENT_CACHE": str(home / "cache")}
    environment |= {"WRITTEN": " ".join(map(str, together(home))), **options}
    script = home / "script.py"
    script.write_text(source, encoding="utf-8")
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def together(home):
    """Return the file or none."""
    return sorted((home / "instrument" / "guest" / "__pycache__").glob("_together.*"))


def test_the_second_start_takes_all_modules_from_the_file(package):
    """None from its own file; and none that a start does not need is in it."""
    ours = str(package / "instrument")
    first = run(package)
    second = run(package)

    assert first[0].startswith(f"{ours}/guest False")
    assert second == [f"{ours}/guest True []", f"None {package}/instrument/flow/graph.py", "['instrument.flow.graph']"]


def test_a_module_that_was_edited_is_loaded_from_its_own_file(package):
    """And is in the file the next time."""
    run(package)
    source = package / "instrument" / "flow" / "graph.py"
    source.write_text(source.read_text(encoding="utf-8") + "\nEDITED = 1\n", encoding="utf-8")
    edited, again = run(package), run(package)

    assert (edited[1].split()[0], again[1].split()[0]) == ("1", "1")
    assert again[0].endswith("True []")


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "text"])
def test_a_damaged_file_is_passed_over_and_replaced(package, damage):
    """Whatever is in it."""
    run(package)
    [file] = together(package)
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": whole[:20] + b"N", "text": b"x" * 99}[damage])
    run(package)

    assert run(package)[0].endswith("True []")


def test_a_package_that_was_moved_is_loaded_from_where_it_is(package, tmp_path):
    """Code has the path that it was compiled from."""
    run(package)
    moved = tmp_path / "moved"
    shutil.copytree(package, moved)

    assert run(moved)[1] == f"None {moved}/instrument/flow/graph.py"
    assert run(moved)[0] == f"{moved}/instrument/guest True []"


@pytest.mark.parametrize("options", [{"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONPYCACHEPREFIX": "elsewhere"}])
def test_it_is_written_where_and_when_bytecode_is(package, options):
    """Not at all, or below the prefix."""
    options = {name: value if value == "1" else str(package / value) for name, value in options.items()}
    run(package, **options)

    assert together(package) == []
    elsewhere = [path.name for path in (package / "elsewhere").rglob("_together.*")]
    assert len(elsewhere) == ("PYTHONPYCACHEPREFIX" in options)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 hides no functions")
def test_functions_are_hidden_alike_in_the_file_and_without_it(package):
    """The file holds the same code that is executed where there is no file."""
    source = """
from opcode import opmap
from instrument.hooks import imports
from instrument.session import registry
functions = registry.is_live, registry.Registry.refuse, imports._compile_bytecode, imports._exec_modules[0]
for code in [function.__code__ for function in functions]: print(opmap["RESUME"] in code.co_code[::2], code.co_flags, code.co_code.hex())
"""
    without = run(package, source, PYTHONDONTWRITEBYTECODE="1")
    run(package, source)

    assert run(package, source) == without
    assert [line.split()[0] for line in without] == ["False", "True", "True", "True"]  # two stand for importlib's


def test_every_module_of_the_package_has_the_builtins_of_our_own(package):
    """The loader gives them to all modules, those in the folder of the loader included."""
    source = """
import sys
from instrument.guest.own_builtins import ours
modules = {name: vars(module) for name, module in sys.modules.items() if name.partition(".")[0] == "instrument"}
print(len(modules) > 20, [name for name, names in modules.items() if names.get("__builtins__") is not ours])
"""
    assert run(package, source) == ["True ['instrument.guest']"]
    assert run(package, source) == ["True ['instrument.guest']"]


def test_stand_ins_of_extensions_leave_nothing(tmp_path):
    """A program that imports what they stood for gets the real modules."""
    source = """
import sys
from instrument.guest.own_imports import extension
before = set(sys.modules)
array, pickle = extension("array").array, extension("_pickle")
print(sorted({"functools", "_compat_pickle", "collections", "collections.abc"} & (set(sys.modules) - before)))
import collections.abc, functools, _compat_pickle
print(collections.OrderedDict(), callable(functools.wraps), len(_compat_pickle.NAME_MAPPING) > 9)
print(isinstance(array("q"), collections.abc.MutableSequence), pickle.loads(b"N."))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-S", "-c", source]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "[]"
    assert done.stdout.splitlines()[1:] == [f"{OrderedDict()} True True", "True None"]
