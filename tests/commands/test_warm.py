"""Tests of `instrument warm`: a measured import rewrites nothing afterwards, and failures are named."""

import argparse
import os
import pty
import py_compile
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from terminals import printed_on

from instrument.commands import warm
from instrument.errors import InstrumentError
from instrument.link.cache import Cache

ROOT = Path(__file__).resolve().parents[2]

WARM = """
import sys
from instrument.cli import main
if __name__ == "__main__":
    sys.argv.insert(1, "warm")
    main()
"""
IMPORTS = """
import gc, sys
import instrument.trace
gc.freeze()  # functions that exist are not instrumented: that took most of the time
from instrument.rewrite import rewriter
rewrite, rewritten = rewriter.rewrite, []
def noting_rewrite(flow, plan):
    rewritten.append(flow.instructions.code.co_filename)
    return rewrite(flow, plan)
rewriter.rewrite = noting_rewrite
tracer = instrument.Trace(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix], placement="{placement}")
tracer.run("import package.inner, package.other")
counts = tracer.results().counts
own_counts = {{(file.rpartition("/package/")[2], line): count for (file, line), count in counts.items() if "/package/" in file}}
print(sum("/package/" in file for file in rewritten), sorted(own_counts.items()))
"""
FILES = {
    "__init__.py": "print('executed')\n",
    "inner.py": "def inner(n):\n    return [m for m in range(n) if m]\n\n\ninner(3)\n",
    "other.py": "class Other:\n    there = [n * n for n in range(4)]\n\nassert Other.there\n",
}


def make_package(folder, files=FILES):
    """Write a package of *files* to *folder*; return its path."""
    (folder / "package").mkdir(parents=True)
    for name, text in files.items():
        (folder / "package" / name).write_text(text)
    return folder / "package"


def python(folder, *arguments, **variables):
    """Start this Python with *arguments* in *folder*, with a cache in that folder; return the process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "INSTRUMENT"))}
    environment |= {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), "PYTHONHASHSEED": "0"}
    environment |= {"INSTRUMENT_CACHE": str(folder / "cache"), **variables}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def warmed(folder, *arguments, flags=(), **variables):
    """Run `warm` with *arguments*; return its exit status and its standard error."""
    process = python(folder, *flags, "-c", WARM, *arguments, **variables)
    out, err = process.communicate(timeout=120)
    assert out == ""
    return process.returncode, err


def imported(folder, flags=(), placement="minimal", **variables):
    """Import the package under Trace; return the number of rewritten code objects, and the counts as text."""
    process = python(folder, *flags, "-c", IMPORTS.format(placement=placement), **variables)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    number, counts = out.splitlines()[-1].split(" ", 1)
    return int(number), counts


def cached(folder):
    """Return the files of the cache in *folder*, without its key."""
    return [path for path in (folder / "cache").rglob("*") if path.is_file() and path.name != "key"]


def remove_sources(package):
    """Replace the sources by bytecode files."""
    for source in list(package.glob("*.py")):
        py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")), doraise=True)
        source.unlink()


def compile_with_hashes(package):
    """Write bytecode files that are validated by hash."""
    for source in package.glob("*.py"):
        py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH, doraise=True)


def block_bytecode(package):
    """Put a file in the place of the folder of bytecode files."""
    (package / "__pycache__").write_text("")


def outdate_bytecode(package):
    """Change a source after its bytecode file was written."""
    source = package / "inner.py"
    py_compile.compile(str(source), doraise=True)
    source.write_text(source.read_text() + "late = 1\n")


@pytest.mark.parametrize(
    ("change", "flags", "variables"),
    [
        pytest.param(None, (), {}, id="as it comes"),
        pytest.param(None, (), {"PYTHONDONTWRITEBYTECODE": "1"}, id="without files of bytecode"),
        pytest.param(None, (), {"PYTHONPYCACHEPREFIX": "elsewhere"}, id="files of bytecode elsewhere"),
        pytest.param(None, ("-OO",), {}, id="optimized"),
        pytest.param(remove_sources, (), {}, id="without sources"),
        pytest.param(compile_with_hashes, (), {}, id="files of bytecode that carry a hash"),
        pytest.param(block_bytecode, (), {}, id="no file of bytecode can be written"),
        pytest.param(outdate_bytecode, (), {}, id="files of bytecode are stale"),
    ],
)
def test_a_measured_import_rewrites_nothing_afterwards(tmp_path, change, flags, variables):
    """That holds for all states of bytecode, for a name and for a folder, and the counts are those without a cache.

    Each state tries a folder after a name. Two of them also try a name after a folder, with one process. One of the two
    has files of bytecode without sources, which a search by name finds in another way.
    """
    package = make_package(tmp_path)
    if change is not None:
        change(package)
    expected = imported(tmp_path, flags, INSTRUMENT_CACHE="")[1]
    ways = [("package", "./package", ()), ("./package", "package", ("--jobs", "1"))]
    for what, other, jobs in ways if change in (None, remove_sources) and not (flags or variables) else ways[:1]:
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        status, printed = warmed(tmp_path, what, *jobs, flags=flags, **variables)

        assert (status, printed.count("\n")) == (0, 1)
        assert "3 files" in printed
        assert "3 prepared, 0 ready before" in printed
        assert "0 prepared, 3 ready before" in warmed(tmp_path, other, "--jobs", "1", flags=flags, **variables)[1]
        assert imported(tmp_path, flags, **variables) == (0, expected)


def test_bytecode_files_that_are_written_later_do_no_harm(tmp_path):
    """Code that was prepared without bytecode files is found by an import that has some."""
    make_package(tmp_path)
    warmed(tmp_path, "package", PYTHONDONTWRITEBYTECODE="1")
    subprocess.run([sys.executable, "-m", "compileall", "-q", "package"], cwd=tmp_path, check=True)

    assert imported(tmp_path)[0] == 0


def test_a_source_with_another_time_is_not_rewritten(tmp_path):
    """A checkout gives files another time. The code is found by its content, with and without a bytecode file."""
    package = make_package(tmp_path)
    warmed(tmp_path, "package")
    for n, dontwrite in enumerate(("", "1"), 1):
        for source in package.glob("*.py"):
            os.utime(source, (n * 1_000_000_000,) * 2)
        assert imported(tmp_path, PYTHONDONTWRITEBYTECODE=dontwrite)[0] == 0
    (package / "inner.py").write_text(f"{FILES['inner.py']}late = 1\n")
    assert imported(tmp_path)[0] > 0


def test_each_placement_has_a_cache_of_its_own(tmp_path):
    """Preparing for one placement prepares for no other."""
    make_package(tmp_path)
    warmed(tmp_path, "package", "--placement", "line")

    assert imported(tmp_path, placement="line")[0] == 0
    assert imported(tmp_path)[0] > 0


def test_a_second_run_prepares_only_changed_files(tmp_path):
    """The others are ready before."""
    package = make_package(tmp_path)
    warmed(tmp_path, "package")
    assert "0 prepared, 3 ready before" in warmed(tmp_path, "package")[1]

    (package / "inner.py").write_text(FILES["inner.py"].replace("range(n)", "range(n + 1)"))
    assert "1 prepared, 2 ready before" in warmed(tmp_path, "package", "--jobs", "1")[1]


def test_a_file_below_a_link_is_prepared_under_the_path_of_its_import(tmp_path):
    """If `sys.path` has a link, the real folder may be named all the same."""
    package = make_package(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    status, _ = warmed(tmp_path, str(package), PYTHONPATH=os.pathsep.join([str(tmp_path / "link"), str(ROOT)]))

    assert status == 0
    assert imported(tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path / "link"), str(ROOT)]))[0] == 0


def test_nothing_is_executed(tmp_path):
    """Neither modules nor their packages are imported."""
    make_package(tmp_path, {**FILES, "__init__.py": "raise SystemExit('executed')\n"})

    status, printed = warmed(tmp_path, "package.inner", "package.other")
    assert (status, "executed" in printed, "2 prepared" in printed) == (0, False, True)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_each_failure_is_named(tmp_path, jobs):
    """All other files are prepared, and the exit status is 1."""
    package = make_package(tmp_path, {**FILES, "broken.py": "x = 1\ny = (\n", "zero.py": "x = '\0'\n"})
    (package / "latin.py").write_bytes(b"# coding: none such\n")
    (package / "note.txt").write_text("")
    (package / "empty.pyc").write_bytes(b"")
    (package / "gone.py").symlink_to("nowhere")
    status, printed = warmed(tmp_path, "package", "package/note.txt", "package.none", "no where", "sys", "--jobs", jobs)

    lines = printed.splitlines()
    wrong = {
        f"{package / 'broken.py'}: SyntaxError": "line 2",
        f"{package / 'zero.py'}: ": "null byte",
        f"{package / 'latin.py'}: SyntaxError": "encoding",
        f"{package / 'empty.pyc'}: ": "",
        f"{package / 'gone.py'}: FileNotFoundError": "",
        f"{package / 'note.txt'}: is no Python file": "",
        "package.none: is no file, no folder, and no module that": "",
        "no where: is no file, no folder, and no module that": "",
        "sys: has no Python code": "",
    }
    for beginning, part in wrong.items():
        matches = [line for line in lines if line.startswith(f"instrument: {beginning}")]
        assert len(matches) == 1, (beginning, printed)
        (line,) = matches
        assert part in line
    assert status == 1
    assert len(lines) == len(wrong) + 1
    assert f"3 prepared, 0 ready before, {len(wrong)} failed" in lines[-1]


def test_only_failures_are_printed_on_demand(tmp_path):
    """A run without failures prints nothing."""
    package = make_package(tmp_path)
    assert warmed(tmp_path, "package", "--quiet") == (0, "")

    (package / "broken.py").write_text("(")
    assert warmed(tmp_path, "package", "-q")[1].count("\n") == 1


def test_an_unusable_cache_is_an_error(tmp_path, monkeypatch):
    """The message names the reason and the way out."""
    parser = argparse.ArgumentParser()
    warm.add_arguments(parser)
    options = parser.parse_args([str(tmp_path)])
    for folder, why in ((None, "turned off"), (str(tmp_path), "others can write to it")):
        tmp_path.chmod(0o777)
        monkeypatch.setattr("instrument.link.cache._folder", folder)
        with pytest.raises(InstrumentError, match=f"(?s){why}.*with INSTRUMENT_CACHE"):
            warm.execute(options)


@pytest.mark.parametrize(
    ("jobs", "words"), [("0", "at least 1"), ("-1", "at least 1"), ("x", "'x' is no number of processes")]
)
def test_the_number_of_processes_is_positive(tmp_path, jobs, words):
    """Any other number gives status 2 and a message."""
    status, printed = warmed(tmp_path, ".", "--jobs", jobs)

    assert (status, words in printed) == (2, True)


def test_a_full_disk_is_a_failure(tmp_path):
    """Each file is named, and no half-written file is left."""
    make_package(tmp_path)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n{WARM}"
    process = python(tmp_path, "-c", limit, "package", "--jobs", "1", PYTHONDONTWRITEBYTECODE="1")
    _, printed = process.communicate(timeout=120)

    assert process.returncode == 1
    assert printed.count("is the disk full?") == 3
    assert cached(tmp_path) == []


MANY = "".join(f"def f{n}(a, b):\n    return [a for c in b if c or a] or {n}\n\n\n" for n in range(100))


def interrupted(tmp_path, name, *arguments):
    """Send the signal *name* to a running `warm`, as a terminal would; return the ended process and its errors."""
    make_package(tmp_path, {f"part{n}.py": MANY for n in range(200)})
    process = python(tmp_path, "-c", WARM, "package", *arguments)
    while len([path for path in cached(tmp_path) if len(path.name) == 16]) < 3:  # longer names are files that are being written
        assert process.poll() is None
        time.sleep(0.01)
    if name == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(getattr(signal, name))
    _, printed = process.communicate(timeout=60)
    return process, printed


def assert_all_end(group):
    """Wait until no process of the process *group* exists; fail after 20 seconds."""
    for _ in range(1000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("processes still run")


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_leaves_whole_files(tmp_path, name, jobs):
    """All processes end, with the status of the signal and one line; the prepared files are complete and stay ready."""
    if (name, jobs) == ("SIGTERM", "1"):
        pytest.skip("without workers SIGTERM has its default effect")
    process, printed = interrupted(tmp_path, name, "--jobs", jobs)

    assert process.returncode == {"SIGINT": 130, "SIGTERM": -signal.SIGTERM}[name]
    assert printed.startswith("instrument: interrupted: 200 files")
    assert printed.count("\n") == 1
    assert all(len(path.name) == 16 for path in cached(tmp_path))
    n_prepared = len(cached(tmp_path)) - 1  # without the record of prepared files
    assert 3 <= n_prepared < 200
    cache = Cache("minimal", str(tmp_path / "cache"))
    sources = [str(path) for path in (tmp_path / "package").glob("*.py")]
    assert sum(cache.load(f"module {path}") is not None for path in sources) == n_prepared
    assert_all_end(process.pid)


def test_workers_end_with_a_killed_parent(tmp_path):
    """No process outlives a `warm` that was killed by SIGKILL."""
    process, _ = interrupted(tmp_path, "SIGKILL", "--jobs", "2")

    assert_all_end(process.pid)


def test_cached_code_of_removed_sources_is_deleted(tmp_path):
    """Files that killed writers left a day ago are deleted too; recent ones may still be written, and stay."""
    package = make_package(tmp_path)
    warmed(tmp_path, "package")
    before = cached(tmp_path)
    shutil.rmtree(package)
    make_package(tmp_path, {"__init__.py": FILES["__init__.py"]})
    for name, age in (("0123456789abcdef.7.ab", 100_000), ("0123456789abcdef.8.cd", 100)):
        path = before[0].parent / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    warmed(tmp_path, "package")

    names = {path.name for path in cached(tmp_path)}
    assert len(before) == 4, "three modules, and the record of prepared files"
    assert "0123456789abcdef.8.cd" in names
    assert len(names) == 3


def test_a_terminal_shows_a_bar(tmp_path):
    """The bar grows, names the files, and is erased before the summary."""
    make_package(tmp_path, {f"part{n}.py": MANY for n in range(4)})
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "COLUMNS": "60"}
    environment |= {"INSTRUMENT_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", WARM, "package", "--jobs", "1"]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    printed = printed_on(ours)
    process.communicate(timeout=60)
    drawn = printed.decode().replace("\r\n", "\n").split("\r\x1b[K")

    assert process.returncode == 0
    assert any("1/4 " in line and ".py" in line and "#" in line for line in drawn)
    assert all(len(line) < 60 for line in drawn if line.startswith("["))
    assert drawn[-1].startswith("instrument: done: 4 files")
