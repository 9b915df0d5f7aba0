"""After `warm`, an import that is measured for the first time rewrites nothing; and what cannot be done is named."""

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

from instrument.commands import warm
from instrument.errors import InstrumentError
from instrument.link.cache import Cache

ROOT = Path(__file__).resolve().parents[2]

WARM = """
import argparse, sys
from instrument.commands import warm
if __name__ == "__main__":
    parser = argparse.ArgumentParser("instrument warm")
    warm.add_arguments(parser)
    sys.exit(warm.execute(parser.parse_args()))
"""
IMPORTS = """
import sys
import instrument
from instrument.rewrite import rewriter
rewrite, made = rewriter.rewrite, []
def counted(flow, plan):
    made.append(flow.instructions.code.co_filename)
    return rewrite(flow, plan)
rewriter.rewrite = counted
tracer = instrument.Trace(count=1, trace=0, ignoredirs=[sys.prefix, sys.base_prefix], placement="{placement}")
tracer.run("import package.inner, package.other")
counts = tracer.results().counts
told = {{(file.rpartition("/package/")[2], line): count for (file, line), count in counts.items() if "/package/" in file}}
print(sum("/package/" in file for file in made), sorted(told.items()))
"""
FILES = {
    "__init__.py": "print('executed')\n",
    "inner.py": "def inner(n):\n    return [m for m in range(n) if m]\n\n\ninner(3)\n",
    "other.py": "class Other:\n    there = [n * n for n in range(4)]\n\nassert Other.there\n",
}


def make_package(folder, files=FILES):
    (folder / "package").mkdir(parents=True)
    for name, text in files.items():
        (folder / "package" / name).write_text(text)
    return folder / "package"


def python(folder, *arguments, **variables):
    """Return the process that this Python is, started with *arguments* in *folder*, with a cache of its own there."""
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
    """Return exit status, and what `warm` with *arguments* says."""
    process = python(folder, *flags, "-c", WARM, *arguments, **variables)
    out, err = process.communicate(timeout=120)
    assert out == ""
    return process.returncode, err


def imported(folder, flags=(), placement="minimal", **variables):
    """Return how much a counted import of the package has to rewrite, and what it counts."""
    process = python(folder, *flags, "-c", IMPORTS.format(placement=placement), **variables)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    number, counts = out.splitlines()[-1].split(" ", 1)
    return int(number), counts


def cached(folder):
    """Return the files of the cache in *folder*, but for its key."""
    return [path for path in (folder / "cache").rglob("*") if path.is_file() and path.name != "key"]


def sourceless(package):
    for source in list(package.glob("*.py")):
        py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")), doraise=True)
        source.unlink()


def checked(package):
    for source in package.glob("*.py"):
        py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH, doraise=True)


def blocked(package):
    (package / "__pycache__").write_text("")


def stale(package):
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
        pytest.param(sourceless, (), {}, id="without sources"),
        pytest.param(checked, (), {}, id="files of bytecode that carry a hash"),
        pytest.param(blocked, (), {}, id="no file of bytecode can be written"),
        pytest.param(stale, (), {}, id="files of bytecode are stale"),
    ],
)
@pytest.mark.parametrize("what", ["package", "./package"], ids=["by name", "by folder"])
def test_an_import_finds_all_that_it_looks_for(tmp_path, change, flags, variables, what):
    """Whatever becomes of bytecode, an import after `warm` rewrites nothing, and counts what it does without a cache."""
    package = make_package(tmp_path)
    if change is not None:
        change(package)
    status, said = warmed(tmp_path, what, flags=flags, **variables)

    assert (status, said.count("\n")) == (0, 1)
    assert "3 files" in said
    assert "3 prepared, 0 ready before" in said
    assert "0 prepared, 3 ready before" in warmed(tmp_path, what, flags=flags, **variables)[1]
    assert imported(tmp_path, flags, **variables) == (0, imported(tmp_path, flags, INSTRUMENT_CACHE="")[1])


def test_bytecode_files_that_come_later_do_no_harm(tmp_path):
    """What was kept without files of bytecode is found by those who have some."""
    make_package(tmp_path)
    warmed(tmp_path, "package", PYTHONDONTWRITEBYTECODE="1")
    subprocess.run([sys.executable, "-m", "compileall", "-q", "package"], cwd=tmp_path, check=True)

    assert imported(tmp_path)[0] == 0


def test_each_placement_is_filled_by_itself(tmp_path):
    """The placement that was asked for is there; no other is."""
    make_package(tmp_path)
    warmed(tmp_path, "package", "--placement", "line")

    assert imported(tmp_path, placement="line")[0] == 0
    assert imported(tmp_path)[0] > 0


def test_what_is_there_is_not_made_again(tmp_path):
    """A second run keeps nothing; after a change, the file that changed alone."""
    package = make_package(tmp_path)
    warmed(tmp_path, "package")
    assert "0 prepared, 3 ready before" in warmed(tmp_path, "package")[1]

    (package / "inner.py").write_text(FILES["inner.py"].replace("range(n)", "range(n + 1)"))
    assert "1 prepared, 2 ready before" in warmed(tmp_path, "package", "--jobs", "1")[1]


def test_a_file_below_a_link_is_kept_as_an_import_spells_it(tmp_path):
    """Where `sys.path` has a link, the real folder may be named all the same."""
    package = make_package(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    status, _ = warmed(tmp_path, str(package), PYTHONPATH=os.pathsep.join([str(tmp_path / "link"), str(ROOT)]))

    assert status == 0
    assert imported(tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path / "link"), str(ROOT)]))[0] == 0


def test_nothing_is_executed(tmp_path):
    """Neither the modules, nor the packages above them."""
    make_package(tmp_path, {**FILES, "__init__.py": "raise SystemExit('executed')\n"})

    status, said = warmed(tmp_path, "package.inner", "package.other")
    assert (status, "executed" in said, "2 prepared" in said) == (0, False, True)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_goes_wrong_is_named(tmp_path, jobs):
    """All else is kept, and the exit status is 1."""
    package = make_package(tmp_path, {**FILES, "broken.py": "x = 1\ny = (\n", "zero.py": "x = '\0'\n"})
    (package / "latin.py").write_bytes(b"# coding: none such\n")
    (package / "note.txt").write_text("")
    (package / "empty.pyc").write_bytes(b"")
    (package / "gone.py").symlink_to("nowhere")
    status, said = warmed(tmp_path, "package", "package/note.txt", "package.none", "no where", "sys", "--jobs", jobs)

    lines = said.splitlines()
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
        found = [line for line in lines if line.startswith(f"instrument: {beginning}")]
        assert len(found) == 1, (beginning, said)
        (line,) = found
        assert part in line
    assert status == 1
    assert len(lines) == len(wrong) + 1
    assert f"3 prepared, 0 ready before, {len(wrong)} failed" in lines[-1]


def test_quietly_only_what_goes_wrong_is_printed(tmp_path):
    """A run in which all goes well says nothing."""
    package = make_package(tmp_path)
    assert warmed(tmp_path, "package", "--quiet") == (0, "")

    (package / "broken.py").write_text("(")
    assert warmed(tmp_path, "package", "-q")[1].count("\n") == 1


def test_without_a_cache_there_is_nothing_to_fill(tmp_path, monkeypatch):
    """An error names the reason and the way out."""
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
def test_a_number_of_processes_is_positive(tmp_path, jobs, words):
    """Status 2 and a message that says so."""
    status, said = warmed(tmp_path, ".", "--jobs", jobs)

    assert (status, words in said) == (2, True)


def test_a_disk_that_is_full_is_noticed(tmp_path):
    """What was not kept is not said to be kept, and nothing half-written is left."""
    make_package(tmp_path)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n{WARM}"
    process = python(tmp_path, "-c", limit, "package", "--jobs", "1", PYTHONDONTWRITEBYTECODE="1")
    _, said = process.communicate(timeout=120)

    assert process.returncode == 1
    assert said.count("is the disk full?") == 3
    assert cached(tmp_path) == []


MANY = "".join(f"def f{n}(a, b):\n    return [a for c in b if c or a] or {n}\n\n\n" for n in range(100))


def interrupted(tmp_path, name, *arguments):
    """Send the signal *name* to a `warm` at work, as a terminal would; return it when it has ended, and what it says."""
    make_package(tmp_path, {f"part{n}.py": MANY for n in range(200)})
    process = python(tmp_path, "-c", WARM, "package", *arguments)
    while len([path for path in cached(tmp_path) if len(path.name) == 16]) < 3:  # others are not whole yet
        assert process.poll() is None
        time.sleep(0.01)
    if name == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    return process, said


def assert_all_end(group):
    """Wait until no process of *group* is left."""
    for _ in range(1000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("processes live on")


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_leaves_whole_files(tmp_path, name, jobs):
    """Whoever is at work ends, with status 1 and one line; what is kept by then is whole, and is known the next time."""
    if (name, jobs) == ("SIGTERM", "1"):
        pytest.skip("without processes there is nothing to end")
    process, said = interrupted(tmp_path, name, "--jobs", jobs)

    assert process.returncode == 1
    assert said.startswith("instrument: interrupted: 200 files")
    assert said.count("\n") == 1
    assert all(len(path.name) == 16 for path in cached(tmp_path))
    n_kept = len(cached(tmp_path))
    assert 3 <= n_kept < 200
    cache = Cache("minimal", str(tmp_path / "cache"))
    sources = [str(path) for path in (tmp_path / "package").glob("*.py")]
    assert sum(cache.load(f"module {path}") is not None for path in sources) == n_kept
    assert_all_end(process.pid)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    """Killed without a warning it leaves nobody behind."""
    process, _ = interrupted(tmp_path, "SIGKILL", "--jobs", "2")

    assert_all_end(process.pid)


def test_what_was_kept_of_sources_that_are_gone_goes(tmp_path):
    """So does what killed writers left a day ago; what others may be writing stays."""
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

    left = {path.name for path in cached(tmp_path)}
    assert len(before) == 3
    assert "0123456789abcdef.8.cd" in left
    assert len(left) == 2


def test_a_terminal_shows_a_bar(tmp_path):
    """It grows, names the files, and gives way to the last line."""
    make_package(tmp_path, {f"part{n}.py": MANY for n in range(4)})
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "COLUMNS": "60"}
    environment |= {"INSTRUMENT_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", WARM, "package", "--jobs", "1"]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 10_000)
        except OSError:  # Linux says that nobody writes any more
            break
        if not part:
            break
        said += part
    os.close(ours)
    process.communicate(timeout=60)
    drawn = said.decode().replace("\r\n", "\n").split("\r\x1b[K")

    assert process.returncode == 0
    assert any("1/4 " in line and ".py" in line and "#" in line for line in drawn)
    assert all(len(line) < 60 for line in drawn if line.startswith("["))
    assert drawn[-1].startswith("instrument: done: 4 files")
