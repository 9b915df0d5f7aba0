"""The cache gives back what was put in, or nothing: whatever happened to its files, nothing foreign is ever executed."""

import marshal
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instrument.flow import placement
from instrument.link.cache import Batch, Cache
from instrument.link.counters import index_of_group, nested_code, unlinked_values
from instrument.link.fast_linking import compile_to_pickle
from instrument.link.module_import import ModuleImport
from instrument.rewrite import rewriter

SOURCE = """
def f(items):
    for item in items:
        if item:
            exec("pass", globals={})
    return lambda: items
"""
ROOT = Path(__file__).resolve().parents[2]


def all_code(source=SOURCE, file="/somewhere/program.py"):
    """Return the code objects of *source*, outermost first."""
    found = [compile(source, file, "exec")]
    for code in found:
        found.extend(constant for constant in code.co_consts if isinstance(constant, type(code)))
    return found


def tree(source=SOURCE, file="/somewhere/program.py"):
    """Return the code objects of *source*, innermost first."""
    return all_code(source, file)[::-1]


def rewritten(codes, where=placement.MINIMAL):
    """Return what the tree *codes* is rewritten to, taken apart."""
    made = []
    for code in codes:
        flow = placement.graph_of(code, where)
        made.append((code, rewriter.rewrite(flow, placement.plan(flow, where))))
    return unlinked_values(made)


def filled(folder, source=SOURCE):
    """Fill a cache in *folder* and return the one file in it that holds code."""
    cache = Batch(Cache(placement.MINIMAL, str(folder)))
    codes = tree(source)
    assert cache.get(codes, "shelf") is None
    cache.put(codes, rewritten(codes), "shelf")
    cache.flush()
    (made,) = (path for path in folder.rglob("*") if path.is_file() and path.name != "key")
    return made


def found(folder, source=SOURCE, where=placement.MINIMAL):
    """Return whether a new batch of the cache in *folder* knows the code of *source*."""
    return Batch(Cache(where, str(folder))).get(tree(source), "shelf") is not None


def test_another_process_finds_what_was_put(tmp_path):
    """All of an entry comes back: what linking needs, and what reading needs."""
    filled(tmp_path / "cache")

    assert Batch(Cache(placement.MINIMAL, str(tmp_path / "cache"))).get(tree(), "shelf") == rewritten(tree())


def test_a_module_is_found_by_its_bytecode(tmp_path):
    """What a file of bytecode holds is known without looking at it; other bytecode of that source is not."""
    cache = Cache(placement.MINIMAL, str(tmp_path))
    bytecode = marshal.dumps(tree()[-1])
    cache.cache_module("/somewhere/program.py", bytecode, None, rewritten(tree()), "/somewhere/program.py")

    flats, packed = rewritten(tree())
    found = Cache(placement.MINIMAL, str(tmp_path)).module("/somewhere/program.py", memoryview(bytecode))
    assert found == (compile_to_pickle(flats, "/somewhere/program.py"), index_of_group(flats, "/somewhere/program.py"), packed)
    assert cache.module("/somewhere/program.py", bytecode + b"more") is None
    assert cache.module("/somewhere/else.py", bytecode) is None
    assert Cache(placement.LINE, str(tmp_path)).module("/somewhere/program.py", bytecode) is None


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
    """It is the code that counts, not its file's name or time."""
    filled(tmp_path)
    changed = SOURCE.replace(before, after)

    assert found(tmp_path)
    assert not found(tmp_path, changed)


def test_code_that_is_kept_alone_is_found_whatever_file_it_is_from(tmp_path):
    """The file may be a temporary one; code within that is from yet another file is told by it."""
    here, there = tree(file="/somewhere/program.py"), tree(file="/tmp/test-17/copy.py")
    cache = Cache(placement.MINIMAL, str(tmp_path))
    batch = Batch(cache)
    assert batch.get(here) is None
    batch.put(here, rewritten(here))
    batch.flush()
    assert Batch(cache).get(there) == Batch(cache).get(here) == rewritten(there)

    inner = next(constant for constant in there[-1].co_consts if isinstance(constant, type(there[0])))
    mixed = there[-1].replace(
        co_consts=tuple(inner.replace(co_filename="x.py") if c is inner else c for c in there[-1].co_consts)
    )
    assert Batch(cache).get(nested_code(mixed)) is None


def test_placements_are_kept_apart(tmp_path):
    """What was rewritten for one placement is not found for another."""
    filled(tmp_path)

    assert not found(tmp_path, where=placement.LINE)


@settings(max_examples=50)
@given(data=st.data())
def test_a_damaged_file_is_passed_over(tmp_path_factory, data):
    """Cut off, overwritten, or with any byte changed, a file is as good as none, and is replaced by a good one."""
    folder = tmp_path_factory.mktemp("cache")
    made = filled(folder)
    good = made.read_bytes()
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
    made.write_bytes(bad)

    assert not found(folder)
    filled(folder)
    assert made.read_bytes() == good


def test_a_file_from_elsewhere_is_passed_over(tmp_path):
    """A file that another user's cache made carries another key; one of another source names that."""
    made = filled(tmp_path / "own")
    made.write_bytes(filled(tmp_path / "foreign").read_bytes())
    assert not found(tmp_path / "own")

    other = tmp_path / "own" / made.parent.name / made.name
    cache = Batch(Cache(placement.MINIMAL, str(tmp_path / "own")))
    codes = tree("x = 1", "/somewhere/else.py")
    cache.get(codes, "elsewhere")
    cache.put(codes, rewritten(codes), "elsewhere")
    cache.flush()
    (elsewhere,) = (path for path in other.parent.iterdir() if path != other)
    other.write_bytes(elsewhere.read_bytes())
    assert not found(tmp_path / "own")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    """What others could have written is not executed."""
    filled(tmp_path)
    tmp_path.chmod(0o777)

    assert not found(tmp_path)


def test_only_the_user_can_read_what_is_kept(tmp_path):
    """Files and folders are the user's alone."""
    made = filled(tmp_path / "cache")

    assert stat.S_IMODE(made.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(made.parent.stat().st_mode) & 0o077 == 0


def test_a_folder_that_cannot_be_had_is_done_without(tmp_path):
    """Where a file is in the way, or a name cannot be one, there is no cache, and no error."""
    (tmp_path / "file").write_text("")

    for folder in (tmp_path / "file" / "cache", tmp_path / ("x" * 300), tmp_path / "zero\0"):
        cache = Batch(Cache(placement.MINIMAL, str(folder)))
        assert cache.get(tree(), "shelf") is None
        cache.put(tree(), rewritten(tree()), "shelf")
        cache.flush()


def test_code_that_is_kept_alone_goes_after_a_while(tmp_path):
    """Nobody can tell whether there still is a file with such code, but whether somebody asks for it."""
    cache = Cache(placement.MINIMAL, str(tmp_path))
    made = []
    texts = "a = 1", "b = 2", "c = 3"
    for text in texts:
        batch = Batch(cache)
        assert batch.get(tree(text)) is None
        batch.put(tree(text), rewritten(tree(text)))
        batch.flush()
        made += [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key" and path not in made]
    for path, days in zip(made, (31, 29, 31)):
        then = time.time() - days * 24 * 60 * 60
        os.utime(path, (then, then))

    assert Batch(cache).get(tree(texts[2])) is not None
    source = tmp_path / "there.py"
    source.write_text("")
    cache.cache_module(str(source), b"bytecode", None, rewritten(tree()), str(source))
    for path in tmp_path.rglob("*"):
        if path.is_file() and path not in made:
            os.utime(path, (then, then))
    cache.tidy()
    assert cache.module(str(source), b"bytecode") is not None, "its source is there"
    assert [path.exists() for path in made] == [False, True, True]


def test_code_that_is_gone_does_not_pile_up(tmp_path):
    """A file that is edited again and again keeps what its last versions had, not all that it ever had."""
    for version in range(20):
        source = SOURCE.replace("pass", f"a{version} = {version}").replace("item:", f"item > {version}:")
        cache = Batch(Cache(placement.MINIMAL, str(tmp_path)))
        assert cache.get(tree(source), "shelf") is None
        cache.put(tree(source), rewritten(tree(source)), "shelf")
        cache.flush()
    (made,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key")

    assert made.stat().st_size < 4 * filled(tmp_path / "once").stat().st_size


PROGRAM = """
import sys, instrument
from instrument.rewrite import rewriter
rewrite, made = rewriter.rewrite, []
rewriter.rewrite = lambda *what: made.append(what) or rewrite(*what)
import board
tracer = instrument.Trace(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix])
tracer.run("import shelf, board; shelf.fill(); board.fill()")
counts = tracer.results().counts
print(sorted((line, count) for (file, line), count in counts.items() if file.endswith(("shelf.py", "board.py"))))
seen = sum(count for (file, line), count in counts.items() if not file.startswith("<frozen importlib"))
print(seen, len(made))
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
    """A process that finds all in the cache counts what the one before did, and rewrites nothing."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    without = output(start(tmp_path / "shelf", ""))
    cold = output(start(tmp_path / "shelf", tmp_path / "cache"))
    warm = output(start(tmp_path / "shelf", tmp_path / "cache"))

    assert without == cold
    assert without[0] == warm[0]
    assert warm[1].split() == [cold[1].split()[0], "0"]


def test_a_module_is_rewritten_once_wherever_it_is(tmp_path):
    """Tests write the same modules to a new temporary folder each time."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shelf.py").write_text(SHELF)
    first = output(start(tmp_path / "first", tmp_path / "cache"))
    second = output(start(tmp_path / "second", tmp_path / "cache"))

    assert second[0] == first[0]
    # What was loaded before, which is kept by its file: the function of `board`, with what is in it.
    assert int(second[1].split()[1]) == len(tree(SHELF)) - 1


def test_a_source_that_changes_within_its_time_is_counted_as_it_is(tmp_path):
    """Same size, same time, other code: counts are those of the code that ran."""
    (tmp_path / "shelf").mkdir()
    shelf = tmp_path / "shelf" / "shelf.py"
    seen = []
    for source in (SHELF, SHELF.replace("range(5)", "range(7)").replace("if m", "if n")):
        shelf.write_text(source)
        os.utime(shelf, (1_000_000_000, 1_000_000_000))
        seen.append(output(start(tmp_path / "shelf", tmp_path / "cache"))[0])

    assert "(2, 12)" in seen[0]
    assert "(2, 16)" in seen[1]


def test_writers_that_meet_leave_complete_files(tmp_path):
    """Processes that fill one cache at the same time all count right, and leave nothing half-written."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    processes = [start(tmp_path / "shelf", tmp_path / "cache") for _ in range(4)]
    lines = [output(process)[0] for process in processes]
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]

    assert len(set(lines)) == 1
    assert all(path.name == "key" or len(path.name) == 16 for path in left)
    assert output(start(tmp_path / "shelf", tmp_path / "cache"))[1].split()[1] == "0"


GIVES_CODE_AWAY = """
import instrument
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


def test_the_original_can_still_be_given_away(tmp_path):
    """Code that came live out of the cache is written by `marshal`, and runs elsewhere, as the compiler made it."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    run = [sys.executable, "-c", GIVES_CODE_AWAY]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "shelf"), str(ROOT)])}
    environment["INSTRUMENT_CACHE"] = str(tmp_path / "cache")
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    said = [subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(3)]

    assert said[0] == said[1] == said[2]
    assert "repeat" not in said[0]
    assert "(2, 6)" in said[0]


def test_constants_that_no_compiler_makes_are_not_kept(tmp_path):
    """Such code is counted like any other, and found by nobody."""
    codes = [tree()[-1].replace(co_consts=(object(), *tree()[-1].co_consts[1:]))]
    cache = Batch(Cache(placement.MINIMAL, str(tmp_path)))

    assert cache.get(codes, "shelf") is None
    cache.put(codes, rewritten(codes), "shelf")
    cache.flush()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["key"]


posix = pytest.mark.skipif(os.name != "posix", reason="owners, links and pipes are those of POSIX")


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_used(tmp_path):
    """Its owner could put there what is executed, now or later; it is said whose fault it is."""
    made = filled(tmp_path / "cache")
    for folder in (tmp_path / "cache", made.parent):
        os.chown(folder, 12345, 12345)
        assert not found(tmp_path / "cache")
        assert "another user" in Cache(placement.MINIMAL, str(tmp_path / "cache")).trouble
        os.chown(folder, 0, 0)

    assert found(tmp_path / "cache")


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_another_user_is_not_followed(tmp_path):
    """Its owner can let it lead to another folder of this user's, or to another one later."""
    filled(tmp_path / "cache")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "cache")
    os.chown(link, 12345, 12345, follow_symlinks=False)
    assert not found(link)
    assert "is a link that belongs to another user" in Cache(placement.MINIMAL, str(link)).trouble


@posix
@pytest.mark.parametrize(("mode", "is_safe"), [(0o777, False), (0o775, False), (0o1777, True), (0o755, True)])
def test_a_folder_above_decides_as_well(tmp_path, mode, is_safe):
    """Who can rename the folder can put another in its place, but for the sticky bit."""
    filled(tmp_path / "above" / "between" / "cache")
    (tmp_path / "above").chmod(mode)
    assert bool(found(tmp_path / "above" / "between" / "cache")) == is_safe
    trouble = Cache(placement.MINIMAL, str(tmp_path / "above" / "between" / "cache")).trouble
    assert ("others can write to" in trouble and "above', which it is in" in trouble) == (not is_safe)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_above_of_another_user_is_not_trusted(tmp_path):
    """Its owner can rename what is in it, whatever its mode."""
    filled(tmp_path / "above" / "cache")
    for mode in (0o755, 0o1777):
        os.chown(tmp_path / "above", 12345, 12345)
        (tmp_path / "above").chmod(mode)
        assert not found(tmp_path / "above" / "cache")


@posix
def test_a_link_is_followed_to_where_it_is_safe(tmp_path):
    """The folder may be a link to one that is the user's own; not to one that others can write to."""
    made = filled(tmp_path / "cache")
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    assert found(tmp_path / "link")

    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "other").symlink_to(tmp_path / "open")
    assert not found(tmp_path / "other")
    assert not any((tmp_path / "open").iterdir())

    # A file that is replaced by a link is replaced in its turn: what the link leads to is left alone.
    (tmp_path / "precious").write_text("precious")
    made.unlink()
    made.symlink_to(tmp_path / "precious")
    filled(tmp_path / "cache")
    assert (tmp_path / "precious").read_text() == "precious"
    assert found(tmp_path / "cache")


@posix
def test_nobody_waits_for_a_pipe(tmp_path):
    """A pipe, a device or a folder in place of a file, or of the key, is as good as nothing."""
    made = filled(tmp_path)
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)):
        for path in (made, tmp_path / "key"):
            kept = path.read_bytes()
            path.unlink()
            make(path)
            assert not found(tmp_path)
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
            path.write_bytes(kept)
            assert found(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 17, b"y" * 16])
def test_a_damaged_key_is_replaced(tmp_path, damage):
    """What was kept under another key is passed over, and made anew under one that lasts."""
    filled(tmp_path)
    (tmp_path / "key").write_bytes(damage)

    assert not found(tmp_path)
    filled(tmp_path)
    assert found(tmp_path)
    assert len((tmp_path / "key").read_bytes()) == 16


def test_a_folder_that_vanishes_is_done_without(tmp_path):
    """Whoever has opened the cache goes on when it is deleted; whoever opens it next makes it anew."""
    filled(tmp_path / "cache")
    cache = Cache(placement.MINIMAL, str(tmp_path / "cache"))
    batch = Batch(cache)
    shutil.rmtree(tmp_path / "cache")

    assert batch.get(tree(), "shelf") is None
    batch.put(tree(), rewritten(tree()), "shelf")
    batch.flush()
    assert cache.module("/somewhere/program.py", b"") is None
    cache.tidy()
    assert not (tmp_path / "cache").exists()
    filled(tmp_path / "cache")
    assert found(tmp_path / "cache")


def test_folders_that_nobody_uses_are_removed(tmp_path):
    """What 60 days have passed over goes when a new folder is made; a folder in use says so itself."""
    made = filled(tmp_path)
    day = 24 * 60 * 60
    old, younger = time.time() - 61 * day, time.time() - 59 * day
    for name, age in (("old", old), ("younger", younger)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
        os.utime(tmp_path / name, (age, age))
    os.utime(made.parent, (old, old))
    assert found(tmp_path)  # which is a use of it
    filled_line = Cache(placement.LINE, str(tmp_path))

    assert filled_line.folder is not None
    assert {path.name for path in tmp_path.iterdir()} == {
        *("key", "younger", made.parent.name, os.path.basename(filled_line.folder))
    }
    assert found(tmp_path)


READS = """
import importlib.machinery, sys, instrument
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
    """Return what is counted, and how many files of bytecode are read for it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    environment["INSTRUMENT_CACHE"] = str(cache)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", READS.format(patch=patch)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    return said[0], int(said[1])


def test_bytecode_that_did_not_change_is_not_read(tmp_path):
    """It is known by its file; whenever anything about that is different, it is read again, and counts are right."""
    (tmp_path / "shelf").mkdir()
    shelf = tmp_path / "shelf" / "shelf.py"
    shelf.write_text(SHELF)
    counts, _ = reads(tmp_path / "shelf", tmp_path / "cache")  # writes the bytecode
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (counts, 1)  # keeps what it is rewritten to
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

    # And the first one again, in the same file: only when that was last written to tells.
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

    # The same bytecode in another file: it is read once, and known by that from then on.
    bytecode.write_bytes(bytecode.read_bytes())
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (others, 1)
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (others, 0)

    # A source that is newer than its bytecode is compiled, as ever.
    shelf.write_text(SHELF)
    os.utime(shelf, ns=(times[0][1] + 10**10, times[0][1] + 10**10))
    assert reads(tmp_path / "shelf", tmp_path / "cache")[0] == counts
    bytecode.unlink()
    assert reads(tmp_path / "shelf", tmp_path / "cache")[0] == counts


def test_a_program_that_reads_bytecode_its_own_way_is_asked(tmp_path):
    """Who changes how loaders get code, or data, is called as without us."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "shelf.py").write_text(SHELF)
    for _ in range(3):
        counts, _ = reads(tmp_path / "shelf", tmp_path / "cache")
    patch = """
loader = importlib.machinery.SourceFileLoader
original = loader.{name}
loader.{name} = lambda self, *arguments: original(self, *arguments)
"""

    # A loader may have ways of its own, too.
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
    # It makes no difference whether that is so before we come.
    for name in ("get_code", "get_data", "path_stats"):
        late = "import instrument.hooks.imports" + patch.format(name=name)
        assert reads(tmp_path / "shelf", tmp_path / "cache", late) == (counts, 1)
        assert reads(tmp_path / "shelf", tmp_path / "cache", patch.format(name=name)) == (counts, 1)
    assert reads(tmp_path / "shelf", tmp_path / "cache") == (counts, 0)


def test_bytecode_that_is_replaced_while_it_is_read_is_not_known_by_its_file(tmp_path):
    """What was read and what lies there afterwards may be different things."""
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
