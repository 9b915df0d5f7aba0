"""The cache returns the code that was stored, or none: a damaged or foreign file is never executed."""

import marshal
import os
import py_compile
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link.filled_cache import SOURCE, filled, is_stored, tree
from link.linked_code import as_tuples, unlinked_tree

from instrument.flow import placement
from instrument.link.cache import Batch, Cache, module_of
from instrument.link.code_group import index_of_group
from instrument.link.fast_linking import compile_to_pickle
from instrument.link.module_import import ModuleImport
from instrument.link.unlinked_values import nested_code

ROOT = Path(__file__).resolve().parents[2]


def test_another_process_gets_the_code_that_was_stored(tmp_path):
    """It gets the values for linking and the infos for recovery."""
    filled(tmp_path / "cache")

    stored = Batch(Cache(placement.MINIMAL, str(tmp_path / "cache"))).get(tree(), "shelf")
    assert as_tuples(stored) == as_tuples(unlinked_tree(tree()))


def test_a_module_is_found_by_its_bytecode(tmp_path):
    """The code of a bytecode file is found by its bytes; that of other bytecode of the same source is not."""
    cache = Cache(placement.MINIMAL, str(tmp_path))
    bytecode = marshal.dumps(tree()[-1])
    cache.store_module("/somewhere/program.py", bytecode, None, b"key", module_of(unlinked_tree(tree()), "/somewhere/program.py"))

    unlinked_codes, expected_infos = unlinked_tree(tree())
    cached = Cache(placement.MINIMAL, str(tmp_path)).module("/somewhere/program.py", memoryview(bytecode))
    (pickled, index, infos), version = cached
    assert version is None, "it was stored without one"
    assert pickled == compile_to_pickle(unlinked_codes)
    assert index.as_tuple() == index_of_group(unlinked_codes, "/somewhere/program.py").as_tuple()
    assert infos == expected_infos
    assert cache.module("/somewhere/program.py", bytecode + b"more") is None
    assert cache.module("/somewhere/else.py", bytecode) is None
    assert Cache(placement.LINE, str(tmp_path)).module("/somewhere/program.py", bytecode) is None


def test_the_version_of_a_source_is_that_of_one_bytecode_file(tmp_path):
    """An equal bytecode file may come from another text: its version is found anew, and stored."""
    cache, file = Cache(placement.MINIMAL, str(tmp_path)), "/somewhere/program.py"
    cache.store_module(file, b"bytecode", ("first",), b"key", module_of(unlinked_tree(tree()), file), "version 1")

    def version(bytecode, stamp, found):
        _, version = cache.module(file, bytecode, stamp, lambda file_name: f"{found} of {file_name}")
        return version

    assert version(None, ("first",), "none") == "version 1"
    assert version(b"bytecode", ("first",), "none") == "version 1"
    assert version(b"bytecode", None, "none") is None
    assert version(b"bytecode", ("second",), "version 2") == f"version 2 of {file}"
    assert version(None, ("second",), "none") == f"version 2 of {file}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if item:", "if not item:"),
        ("globals={}", "closure={}"),  # only a constant differs, in 3.11 to 3.13
        ("def f(items)", "\ndef f(items)"),
        ("lambda: items", "lambda : items"),
    ],
)
def test_changed_code_is_not_found(tmp_path, before, after):
    """Code is looked up by its content, not by name or time of its file."""
    filled(tmp_path)
    changed = SOURCE.replace(before, after)

    assert is_stored(tmp_path)
    assert not is_stored(tmp_path, changed)


def test_code_without_a_shelf_is_found_whatever_file_it_is_from(tmp_path):
    """The file may be a temporary one. But nested code from another file makes a difference."""
    here, there = tree(file="/somewhere/program.py"), tree(file="/tmp/test-17/copy.py")
    cache = Cache(placement.MINIMAL, str(tmp_path))
    batch = Batch(cache)
    assert batch.get(here) is None
    batch.put(here, unlinked_tree(here))
    batch.flush()
    expected = as_tuples(unlinked_tree(there))
    assert as_tuples(Batch(cache).get(there)) == as_tuples(Batch(cache).get(here)) == expected

    inner = next(constant for constant in there[-1].co_consts if isinstance(constant, type(there[0])))
    mixed = there[-1].replace(
        co_consts=tuple(inner.replace(co_filename="x.py") if c is inner else c for c in there[-1].co_consts)
    )
    assert Batch(cache).get(nested_code(mixed)) is None


def test_code_of_one_placement_is_not_found_for_another(tmp_path):
    """Each placement has a folder of its own."""
    filled(tmp_path)

    assert not is_stored(tmp_path, placed=placement.LINE)


@settings(max_examples=min(50, settings().max_examples))
@given(data=st.data())
@pytest.mark.slow
def test_a_damaged_file_is_ignored_and_replaced(tmp_path_factory, data):
    """A file may be cut off, overwritten, or have any byte changed."""
    folder = tmp_path_factory.mktemp("cache")
    path_of_code = filled(folder)
    good = path_of_code.read_bytes()
    bad = data.draw(
        st.one_of(
            st.integers(0, len(good) - 1).map(lambda size: good[:size]),
            st.tuples(st.integers(0, len(good) - 1), st.integers(1, 255)).map(
                lambda change: good[: change[0]] + bytes([good[change[0]] ^ change[1]]) + good[change[0] + 1 :]
            ),
            st.binary(max_size=200),
            st.binary(min_size=1, max_size=20).map(lambda more: good + more),
        )
    )
    path_of_code.write_bytes(bad)

    assert not is_stored(folder)
    filled(folder)
    assert path_of_code.read_bytes() == good


def test_a_file_from_elsewhere_is_ignored(tmp_path):
    """A file of another cache has a checksum with another key, and a file of another source has its name."""
    path_of_code = filled(tmp_path / "own")
    path_of_code.write_bytes(filled(tmp_path / "foreign").read_bytes())
    assert not is_stored(tmp_path / "own")

    other = tmp_path / "own" / path_of_code.parent.name / path_of_code.name
    cache = Batch(Cache(placement.MINIMAL, str(tmp_path / "own")))
    codes = tree("x = 1", "/somewhere/else.py")
    cache.get(codes, "elsewhere")
    cache.put(codes, unlinked_tree(codes), "elsewhere")
    cache.flush()
    (elsewhere,) = (path for path in other.parent.iterdir() if path != other)
    other.write_bytes(elsewhere.read_bytes())
    assert not is_stored(tmp_path / "own")


def test_code_without_a_shelf_is_removed_after_a_while(tmp_path):
    """The source file of such code is unknown, so it is removed if no process asks for it."""
    cache = Cache(placement.MINIMAL, str(tmp_path))
    paths = []
    texts = "a = 1", "b = 2", "c = 3"
    for text in texts:
        batch = Batch(cache)
        assert batch.get(tree(text)) is None
        batch.put(tree(text), unlinked_tree(tree(text)))
        batch.flush()
        paths += [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key" and path not in paths]
    for path, days in zip(paths, (31, 29, 31)):
        then = time.time() - days * 24 * 60 * 60
        os.utime(path, (then, then))

    assert Batch(cache).get(tree(texts[2])) is not None
    source = tmp_path / "there.py"
    source.write_text("")
    cache.store_module(str(source), b"bytecode", None, b"key", module_of(unlinked_tree(tree()), str(source)))
    for path in tmp_path.rglob("*"):
        if path.is_file() and path not in paths:
            os.utime(path, (then, then))
    cache.tidy()
    assert cache.module(str(source), b"bytecode") is not None, "its source is there"
    assert [path.exists() for path in paths] == [False, True, True]


def test_the_code_of_old_versions_does_not_pile_up(tmp_path):
    """The cache has the code of the last versions of a file that is edited again and again, not of all of them."""
    for version in range(20):
        source = SOURCE.replace("pass", f"a{version} = {version}").replace("item:", f"item > {version}:")
        cache = Batch(Cache(placement.MINIMAL, str(tmp_path)))
        assert cache.get(tree(source), "shelf") is None
        cache.put(tree(source), unlinked_tree(tree(source)), "shelf")
        cache.flush()
    (path_of_code,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key")

    assert path_of_code.stat().st_size < 4 * filled(tmp_path / "once").stat().st_size


PROGRAM = """
import gc, sys, instrument.trace
from instrument.rewrite import rewriter
gc.freeze()  # functions that exist are not instrumented, except those of board: that took most of the time
rewrite, rewritten = rewriter.rewrite, []
rewriter.rewrite = lambda *arguments: rewritten.append(arguments) or rewrite(*arguments)
import board
tracer = instrument.Trace(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix])
tracer.run("import shelf, board; shelf.fill(); board.fill()")
counts = tracer.results().counts
print(sorted((line, count) for (file, line), count in counts.items() if file.endswith(("shelf.py", "board.py"))))
seen = sum(count for (file, line), count in counts.items() if not file.startswith("<frozen importlib"))
print(seen, len(rewritten))
"""
SHELF = "def fill():\n    for n in range(5):\n        yield_ = [m for m in range(n) if m]\n\n\nfill()\n"


def start(folder, cache, program=PROGRAM):
    if not (folder / "board.py").exists():  # else another process may be importing it
        (folder / "board.py").write_text(SHELF)  # which is loaded when the measurement begins
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "INSTRUMENT_CACHE": cache and str(cache),
    }
    command = [sys.executable, "-c", program]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process):
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


def test_counts_are_the_same_with_and_without(tmp_path):
    """A process that finds all code in the cache counts the same as the one before, and rewrites nothing."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    without = output(start(tmp_path / "shelf", ""))
    cold = output(start(tmp_path / "shelf", tmp_path / "cache"))
    warm = output(start(tmp_path / "shelf", tmp_path / "cache"))

    assert without == cold
    assert without[0] == warm[0]
    assert warm[1].split() == [cold[1].split()[0], "0"]


def test_a_module_is_rewritten_once_whatever_its_folder(tmp_path):
    """Many tests write the same modules to a new temporary folder each time."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shelf.py").write_text(SHELF)
    first = output(start(tmp_path / "first", tmp_path / "cache"))
    second = output(start(tmp_path / "second", tmp_path / "cache"))

    assert second[0] == first[0]
    # Only the function of `board` and the code nested in it: existing functions are stored by their source file.
    assert int(second[1].split()[1]) == len(tree(SHELF)) - 1


def test_a_source_that_changes_but_for_size_and_time_is_counted_anew(tmp_path):
    """The counts are those of the code that ran."""
    (tmp_path / "shelf").mkdir()
    shelf = tmp_path / "shelf" / "shelf.py"
    seen = []
    for source in (SHELF, SHELF.replace("range(5)", "range(7)").replace("if m", "if n")):
        shelf.write_text(source)
        os.utime(shelf, (1_000_000_000, 1_000_000_000))
        seen.append(output(start(tmp_path / "shelf", tmp_path / "cache"))[0])

    assert "(2, 12)" in seen[0]
    assert "(2, 16)" in seen[1]


def test_processes_that_store_at_the_same_time_leave_complete_files(tmp_path):
    """All of them count right, and no temporary file stays."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    processes = [start(tmp_path / "shelf", tmp_path / "cache") for _ in range(4)]
    lines = [output(process)[0] for process in processes]
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    assert len(set(lines)) == 1
    assert all(path.name == "key" or len(path.name) == 16 for path in files)
    assert output(start(tmp_path / "shelf", tmp_path / "cache"))[1].split()[1] == "0"


GIVES_CODE_AWAY = """
import gc, instrument.trace
gc.freeze()
source = '''
import marshal, shelf, types
away = [marshal.loads(marshal.dumps(shelf.fill.__code__)), types.FunctionType(shelf.fill.__code__, {"range": range}).__code__]
print([[constant for constant in code.co_consts if type(constant) is not type(code)] for code in away], list(away[0].co_lines())[-1][2])
'''
tracer = instrument.Trace(count=1, trace=0)
tracer.run(source)
counts = tracer.results().counts
print(sorted((line, count) for (file, line), count in counts.items() if file.endswith("shelf.py")))
"""


def test_the_original_of_cached_code_can_still_be_marshalled(tmp_path):
    """`marshal` writes the code as the compiler made it, and `types.FunctionType` runs it."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    run = [sys.executable, "-c", GIVES_CODE_AWAY]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "shelf"), str(ROOT)])}
    environment["INSTRUMENT_CACHE"] = str(tmp_path / "cache")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    printed = [subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(3)]

    assert printed[0] == printed[1] == printed[2]
    assert "repeat" not in printed[0]
    assert "(2, 6)" in printed[0]


def test_code_with_constants_that_no_compiler_makes_is_not_stored(tmp_path):
    """Such code is counted like any other, and rewritten in each process."""
    codes = [tree()[-1].replace(co_consts=(object(), *tree()[-1].co_consts[1:]))]
    cache = Batch(Cache(placement.MINIMAL, str(tmp_path)))

    assert cache.get(codes, "shelf") is None
    cache.put(codes, unlinked_tree(codes), "shelf")
    cache.flush()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["key"]


READS = """
import gc, importlib.machinery, sys, instrument.trace
gc.freeze()
opened = []
sys.addaudithook(lambda event, arguments: event == "open" and str(arguments[0]).endswith(".pyc") and opened.append(arguments[0]))
{patch}
tracer = instrument.Trace(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix])
tracer.run("import shelf")
counts = tracer.results().counts
print(sorted((line, count) for (file, line), count in counts.items() if file.endswith("shelf.py")))
print(len([path for path in opened if "shelf" in path]))
"""


def reads(folder, cache, patch=""):
    """Return the counts that a process prints, and how many bytecode files of the module it reads."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    environment["INSTRUMENT_CACHE"] = str(cache)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", READS.format(patch=patch)]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    return printed[0], int(printed[1])


def test_an_unchanged_bytecode_file_is_not_read(tmp_path):
    """If anything about the file is different, it is read again, and the counts are right."""
    (tmp_path / "shelf").mkdir()
    shelf = tmp_path / "shelf" / "shelf.py"
    shelf.write_text(SHELF)
    counts, _ = reads(tmp_path / "shelf", tmp_path / "cache")  # writes the bytecode
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (counts, 1)  # stores the rewritten code
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (counts, 0)

    # Other bytecode, of a text of the same size and time, in a file of the same size and time.
    (bytecode,) = shelf.parent.rglob("*.pyc")
    times = [(path, path.stat().st_mtime_ns) for path in (shelf, bytecode)]
    shelf.write_text(SHELF.replace("range(5)", "range(7)"))
    os.utime(shelf, ns=(times[0][1], times[0][1]))
    py_compile.compile(str(shelf), doraise=True)
    os.utime(bytecode, ns=(times[1][1], times[1][1]))
    others, n_read = reads(tmp_path / "shelf", tmp_path / "cache")
    assert (others, n_read) == (reads(tmp_path / "shelf", "")[0], 1)
    assert others != counts
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (others, 0)

    # The first bytecode again, in the same file: only the time of the last change of the file's status differs.
    second = bytecode.read_bytes()
    shelf.write_text(SHELF)
    os.utime(shelf, ns=(times[0][1], times[0][1]))
    first = Path(py_compile.compile(str(shelf), cfile=str(tmp_path / "first.pyc"), doraise=True)).read_bytes()
    assert len(first) == len(second)
    before = bytecode.stat()
    for content, expected in ((first, counts), (second, others)):
        bytecode.write_bytes(content)
        os.utime(bytecode, ns=(times[1][1], times[1][1]))
        after = bytecode.stat()
        assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
        assert reads(tmp_path / "shelf", tmp_path / "cache") == (expected, 1)

    # The same bytecode in another file is read once, and is known by that file from then on.
    bytecode.write_bytes(bytecode.read_bytes())
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (others, 1)
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (others, 0)

    # A source that is newer than its bytecode is compiled, as ever.
    shelf.write_text(SHELF)
    os.utime(shelf, ns=(times[0][1] + 10**10, times[0][1] + 10**10))
    assert reads(tmp_path / "shelf", tmp_path / "cache")[0] == counts
    bytecode.unlink()
    assert reads(tmp_path / "shelf", tmp_path / "cache")[0] == counts


def test_a_program_that_changes_loaders_has_its_functions_called(tmp_path):
    """They are called as in a plain run, whether the program replaces them before or after the measurement begins."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    for _ in range(3):
        counts, _ = reads(tmp_path / "shelf", tmp_path / "cache")
    patch = """
loader = importlib.machinery.SourceFileLoader
original = loader.{name}
loader.{name} = lambda self, *arguments: original(self, *arguments)
"""

    # A single loader may have a method of its own.
    own = """
finder = importlib.machinery.PathFinder.find_spec
def find_spec(name, path=None, target=None):
    spec = finder(name, path, target)
    if name == "shelf":
        original = spec.loader.get_data
        spec.loader.get_data = lambda path: original(path)
    return spec
importlib.machinery.PathFinder.find_spec = find_spec
"""
    assert reads(tmp_path / "shelf", tmp_path / "cache", own) == (counts, 1)
    for name in ("get_code", "get_data", "path_stats"):
        late = "import instrument.hooks.imports" + patch.format(name=name)
        assert reads(tmp_path / "shelf", tmp_path / "cache", late) == (counts, 1)
        assert reads(tmp_path / "shelf", tmp_path / "cache", patch.format(name=name)) == (counts, 1)
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (counts, 0)


def test_methods_of_the_loader_are_examined_at_each_import(tmp_path):
    """The program may replace a method of importlib's loader, or its code, between two imports."""
    source = tmp_path / "shelf.py"
    source.write_text(SHELF)
    py_compile.compile(str(source), doraise=True)
    loader = SourceFileLoader("shelf", str(source))
    names = {"__name__": "shelf", "__file__": str(source), "__spec__": spec_from_file_location("shelf", source, loader=loader)}

    def is_predicted():
        found = ModuleImport(dict(names), lambda: None, loader)
        found.predict_bytecode()
        return found.stamp is not None

    def other(self, path):
        return None

    assert is_predicted()
    for name in ("get_code", "get_data", "path_stats"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SourceFileLoader, name, other)
            assert not is_predicted()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(getattr(SourceFileLoader, name), "__code__", other.__code__)
            assert not is_predicted()
        assert is_predicted()


def test_bytecode_that_is_replaced_while_it_is_read_is_not_known_by_its_file(tmp_path):
    """The bytecode that was read and the file that is there afterwards may differ."""
    source = tmp_path / "shelf.py"
    source.write_text(SHELF)
    path = py_compile.compile(str(source), doraise=True)
    loader = SourceFileLoader("shelf", str(source))
    names = {"__name__": "shelf", "__file__": str(source), "__spec__": spec_from_file_location("shelf", source, loader=loader)}

    def module_import():
        found = ModuleImport(dict(names), lambda: None, loader)
        found.predict_bytecode()
        assert found.stamp is not None
        return found, memoryview(Path(path).read_bytes())[16:]

    found, data = module_import()
    found.note_bytecode(data, path, str(source))
    assert found.stamp is not None

    found, data = module_import()
    Path(path).write_bytes(Path(path).read_bytes())
    found.note_bytecode(data, path, str(source))
    assert found.stamp is None
