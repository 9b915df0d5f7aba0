"""The package's loader: modules of a start come from one file, have own builtins, and their functions are hidden."""

import ast
import os
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
from recorded import ROOT

from instrument.guest import own_imports, own_loader

PRINT_LOADED = """
import os, sys
from instrument.guest import own_loader
from instrument.flow import graph
late = sorted(set(own_loader._loaded))
print(own_loader._FOLDER, own_loader._path_of_stored() in os.environ["WRITTEN"], late)
print(getattr(graph, "EDITED", None), graph.build.__code__.co_filename)
print(sorted(name for name in own_loader._stored if name in ("instrument.flow.graph", "instrument.commands.report")))
"""


@pytest.fixture
def package(tmp_path):
    """Return a folder with a copy of the package that has no bytecode files."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "instrument", home / "instrument", ignore=shutil.ignore_patterns("__pycache__"))
    return home


def run(home, source=PRINT_LOADED, **variables):
    """Return the lines that *source* prints in a measured process with the package in *home*; nothing goes to stderr."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, (home, home / "instrument" / "bootstrap")))}
    environment |= {"INSTRUMENT": "1", "INSTRUMENT_DIR": str(home / "data"), "INSTRUMENT_CACHE": str(home / "cache")}
    environment |= {"WRITTEN": " ".join(map(str, stored_files(home))), **variables}
    script = home / "script.py"
    script.write_text(source, encoding="utf-8")
    command = [sys.executable, script]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def stored_files(home):
    """Return the paths of the files with the modules of a start: one or none."""
    return sorted((home / "instrument" / "__pycache__").glob("_start_modules.*"))


def test_the_second_start_takes_all_modules_from_the_file(package):
    """No module is loaded from its own file, and a module that no start needs is not in the file."""
    ours = str(package / "instrument")
    first = run(package)
    second = run(package)

    assert first[0].startswith(f"{ours} False")
    assert second == [f"{ours} True []", f"None {package}/instrument/flow/graph.py", "['instrument.flow.graph']"]


def test_an_edited_module_is_loaded_from_its_own_file(package):
    """The process removes the file, the next process makes a new one, and that has the edited module."""
    run(package)
    source = package / "instrument" / "flow" / "graph.py"
    source.write_text(source.read_text(encoding="utf-8") + "\nEDITED = 1\n", encoding="utf-8")
    edited, _, again = run(package), run(package), run(package)

    assert (edited[1].split()[0], again[1].split()[0]) == ("1", "1")
    assert again[0].endswith("True []")


def test_an_edited_module_that_only_the_end_of_a_process_loads_is_in_the_file_again(package):
    """The process that finds the change writes no new file: it has written the file before it loads the module."""
    name = "instrument.plans.plan_folder"
    run(package)
    run(package)  # as in the next test
    source = package / "instrument" / "plans" / "plan_folder.py"
    source.write_text(source.read_text(encoding="utf-8") + "\nEDITED = 1\n", encoding="utf-8")
    finds = f"from instrument.guest import own_loader; print(own_loader.path_if_stored({name!r}) == {str(source)!r})"
    run(package, "pass")
    assert stored_files(package) == []
    run(package, "pass")
    assert run(package, finds) == ["True"]


def test_a_start_finds_the_settings_of_a_project_in_the_file(package):
    """The parser of TOML takes longer than all else in a start."""
    toml = package / "pyproject.toml"
    source = "from instrument.guest import own_loader; print('instrument.guest.rare.copies' in own_loader.modules)"
    parses = []
    for text in ("[tool.instrument]\nquiet = true\n", "[tool.instrument]\nquiet = false\n"):
        toml.write_text(text, encoding="utf-8")
        parses.append([run(package, source) for _ in range(4)])

    assert [each[0] for each in parses] == [["True"]] * 2
    assert [each[-1] for each in parses] == [["False"]] * 2


def test_late_modules_come_from_the_file_that_the_start_has_read(package):
    """If another file took its place, they are loaded from files of their own. Code that was read before is kept."""
    run(package)
    run(package)  # the first run has changed the folders of the sources, about which the file has facts
    source = """
import os
from instrument.guest import own_loader
print(len(own_loader._read_late(["instrument.flow.graph"])))
path, _ = own_loader._late_file
os.rename(path, path + ".old")
with open(path + ".old", "rb") as old, open(path, "wb") as new:
    new.write(old.read())
print(own_loader._read_late(["instrument.flow.graph"]))
os.rename(path + ".old", path)
own_loader.hold_late_codes()
os.remove(path)
from instrument.flow import graph
print("instrument.flow.graph" in own_loader._loaded, len(own_loader._late_codes) == len(own_loader._late_places))
"""
    assert run(package, source) == ["1", "{}", "False True"]


def test_the_file_has_no_docstrings_of_functions(package):
    """Code without a docstring keeps its constants."""
    source = """
from instrument.guest import own_loader
from instrument.session import registry
from instrument.hooks import process_end
print(registry.is_live.__doc__, process_end._is_called_by_program.__doc__, process_end._ENDS, registry.Registry.__doc__ is None)
"""
    run(package)
    assert run(package, source) == ["None None {'_exit': '_exit', 'execv': 'exec', 'execve': 'exec'} False"]


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "text"])
def test_a_damaged_file_is_ignored_and_replaced(package, damage):
    """Modules are then loaded from files of their own."""
    run(package)
    [file] = stored_files(package)
    whole = file.read_bytes()
    file.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": whole[:20] + b"N", "text": b"x" * 99}[damage])
    run(package)

    assert run(package)[0].endswith("True []")


def test_a_package_that_was_moved_is_loaded_from_its_new_folder(package, tmp_path):
    """Code objects in the file have the path that they were compiled from, so the file is not used elsewhere."""
    run(package)
    moved = tmp_path / "moved"
    shutil.copytree(package, moved)

    assert run(moved)[1] == f"None {moved}/instrument/flow/graph.py"
    assert run(moved)[0] == f"{moved}/instrument True []"


@pytest.mark.parametrize("variables", [{"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONPYCACHEPREFIX": "elsewhere"}])
def test_the_file_is_written_where_and_if_the_interpreter_writes_bytecode(package, variables):
    """It is not written at all, or below the prefix."""
    variables = {name: value if value == "1" else str(package / value) for name, value in variables.items()}
    run(package, **variables)

    assert stored_files(package) == []
    elsewhere = [path.name for path in (package / "elsewhere").rglob("_start_modules.*")]
    assert len(elsewhere) == ("PYTHONPYCACHEPREFIX" in variables)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 hides no functions")
def test_the_same_functions_are_hidden_with_the_file_and_without_it(package):
    """The file holds the code that is executed where there is no file."""
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


#: Prints the names of all modules of the package that are loaded, within the package.
PRINT_MODULES = """
from instrument.guest import own_loader
print(*sorted(name.partition(".")[2] for name in own_loader.modules))
"""
#: So many modules are loaded if all code is in the cache. Each costs a third of a millisecond, so this must not grow.
MOST_MODULES_OF_A_START = 67


def test_a_start_loads_no_module_that_only_rewriting_needs(package):
    """If all code is in the cache, the late modules stay where they are, and there are few others."""
    first, second = run(package, PRINT_MODULES)[0].split(), run(package, PRINT_MODULES)[0].split()
    uncounted = run(package, PRINT_MODULES + "import json", INSTRUMENT="json")[0].split()

    assert {"rewrite.rewriter", "flow.graph"} <= set(first)
    assert not {name for name in own_loader.LATE if name.startswith(("decode.", "rewrite."))} & set(second)
    assert not own_loader.LATE & set(uncounted)
    assert len(uncounted) <= MOST_MODULES_OF_A_START


def imports_of(module):
    """Return the modules of the package that *module* imports, at its top level or in functions, and the modules of others."""
    path = ROOT / "instrument" / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    ours, others = set(), set()
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
        elif isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "instrument":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".partition(".")[2]
                is_module = (ROOT / "instrument" / Path(*inner.split(".")).with_suffix(".py")).exists()
                ours.add(inner if is_module else node.module.partition(".")[2])
        elif isinstance(node, ast.ImportFrom | ast.Import):
            others |= {node.module} if isinstance(node, ast.ImportFrom) else {alias.name for alias in node.names}
        else:
            nodes += ast.iter_child_nodes(node)
    return ours, others - {"__future__"}


def test_late_modules_import_what_a_start_has_loaded(package):
    """Otherwise the import system of the program would load it in the midst of the program."""
    run(package, PRINT_MODULES)
    start = set(run(package, PRINT_MODULES)[0].split()) - {""}
    of_start = set().union(*(imports_of(module)[1] for module in start if "." in module))
    missing = {}
    for module in sorted(own_loader.LATE):
        ours, others = imports_of(module)
        missing[module] = (ours - own_loader.LATE - start) | (others - of_start - own_imports._OWN_EXTENSIONS - {"sys"})

    assert {module: names for module, names in missing.items() if names} == {}


def test_late_modules_are_loaded_without_the_import_system(package):
    """The program may have replaced it. `sys.modules` does not change, because a thread may be listing it."""
    (package / "other.py").write_text("def double(n):\n    return 2 * n\n", encoding="utf-8")
    source = """
import builtins, sys
from instrument.guest import own_loader
import other
late = {f"instrument.{name}" for name in own_loader.LATE}
print(len(late & set(own_loader.modules)) > 20, late & set(sys.modules))
"""
    run(package, PRINT_MODULES)
    assert run(package, source) == ["True set()"]
    import_it = """
from instrument.guest import own_loader
from instrument.flow import graph
import instrument.flow.graph
print(own_loader.modules["instrument.flow.graph"] is graph is instrument.flow.graph)
"""
    assert run(package, import_it) == ["True"]


def test_extension_modules_are_loaded_without_the_import_system(monkeypatch):
    """The program may have replaced finders, or put another module in `sys.modules`, by the time one is needed."""
    monkeypatch.setattr(own_imports, "_extensions", {})
    monkeypatch.setattr(sys, "meta_path", [])
    for name in ("_bisect", "zlib"):
        monkeypatch.setitem(sys.modules, name, None)
    assert own_imports.import_own("_bisect").bisect_right([1, 2], 1) == 1
    zlib = own_imports.import_own("zlib", None, None, ("compress",))
    assert zlib.decompress(zlib.compress(b"x")) == b"x"
    assert sys.modules["_bisect"] is sys.modules["zlib"] is None


def test_a_late_module_whose_execution_is_interrupted_is_executed_anew():
    """A signal handler may need it, too. The module that is complete first is the module for all."""
    name = "instrument.flow.spanning"
    before = own_loader.modules.pop(name, None)
    execute, inner = own_imports._run, []

    def run(code, namespace):
        if namespace["__name__"] == name and not inner:
            inner.append(None)
            inner.append(own_imports.import_own(name, fromlist=("leaves_first",)))
        execute(code, namespace)

    own_imports._run = run
    try:
        outer = own_imports.import_own(name, fromlist=("leaves_first",))
        assert outer is inner[1] is own_loader.modules[name]
        assert callable(outer.leaves_first)
    finally:
        own_imports._run = execute
        if before is not None:
            own_loader.modules[name] = before


def functions_of(module):
    """Return the qualified names of the functions in *module*, a name within the package, those in functions left out."""
    path = ROOT / "instrument" / Path(*module.split(".")).with_suffix(".py")
    names, codes = set(), [compile(path.read_text(encoding="utf-8"), str(path), "exec")]
    for code in codes:
        for constant in code.co_consts:
            if isinstance(constant, type(code)):
                if constant.co_flags & 1:  # CO_OPTIMIZED: no class
                    names.add(constant.co_qualname)
                else:
                    codes.append(constant)
    return names


def hidden_modules():
    """Return the modules in which all functions are hidden, except the modules that are named as visible."""
    paths = [path.relative_to(ROOT / "instrument").with_suffix("") for path in (ROOT / "instrument").rglob("*.py")]
    names = {".".join(path.parts) for path in paths}
    in_folders = {name for name in names if name.split(".")[0] in own_loader._HIDDEN_FOLDERS and "." in name}
    return (in_folders | own_loader._HIDDEN_MODULES) - own_loader._VISIBLE_MODULES


@pytest.mark.slow
def test_late_modules_take_functions_of_sys_from_the_copy():
    """The program may have replaced those in `sys` by then. `sys` itself cannot be copied."""
    functions = {name for name, value in vars(sys).items() if type(value) is type(len)}
    found = []
    for module in sorted(own_loader.LATE):
        path, _ = own_loader.locate(f"instrument.{module}")
        for node in ast.walk(ast.parse(Path(path).read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module == "sys":
                found += [(module, alias.name) for alias in node.names if alias.name in functions]
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
                found += [(module, node.attr)] if node.attr in functions else []
    assert found == []


@pytest.mark.slow
def test_the_tables_of_hidden_functions_name_what_exists():
    """A module or a function that was renamed would be hidden, or visible, without a word."""
    for folder in own_loader._HIDDEN_FOLDERS:
        assert (ROOT / "instrument" / folder).is_dir(), folder
    for module in own_loader._HIDDEN_MODULES | own_loader._VISIBLE_MODULES:
        assert functions_of(module), module
    for module, functions in own_loader._HIDDEN_FUNCTIONS.items():
        assert functions <= functions_of(module)
    assert own_loader._HIDDEN_WITH_FRAMES <= set().union(*map(functions_of, hidden_modules()))
    for module in own_loader.LATE:
        path = ROOT / "instrument" / Path(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module
        package = module.rpartition(".")[0]
        assert "." not in package or package in own_loader.LATE, f"{package} would be loaded by the import system"
    for module in own_loader._VISIBLE_MODULES:
        assert module.split(".")[0] in own_loader._HIDDEN_FOLDERS, f"{module} is visible anyway"


@pytest.mark.slow
def test_a_visible_function_is_in_exactly_one_hidden_module():
    """Exceptions are named without their module, so that a function can move to another module."""
    homes = {name: [] for name in own_loader._VISIBLE_FUNCTIONS}
    for module in hidden_modules():
        for name in functions_of(module) & own_loader._VISIBLE_FUNCTIONS:
            homes[name].append(module)
    assert [name for name, modules in homes.items() if len(modules) != 1] == []


def test_every_module_of_the_package_has_builtins_of_our_own(package):
    """The loader gives them to all modules, and modules that are loaded before it take them themselves."""
    source = """
import sys
from instrument.guest.own_builtins import ours
modules = {name: vars(module) for name, module in sys.modules.items() if name.partition(".")[0] == "instrument"}
print(len(modules) > 20, [name for name, names in modules.items() if names.get("__builtins__") is not ours])
"""
    assert run(package, source) == ["True []"]
    assert run(package, source) == ["True []"]


def test_stand_ins_for_imports_of_extensions_leave_nothing_behind(tmp_path):
    """A program that imports a module that had a stand-in gets the real module."""
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
