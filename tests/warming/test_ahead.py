"""Preparing a program is seen where it takes long, or where somebody looks; it leaves no trace but the cache."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands.test_warm import MANY, assert_all_end, cached, make_package
from instrument_command import ROOT, environment_without_settings
from processes import data_files
from terminals import printed_on

from instrument.config import Settings
from instrument.link.cache import Cache
from instrument.warming import ahead, program, workers
from instrument.warming.outcomes import Outcome, Result
from instrument.warming.prepared_files import PreparedFiles
from instrument.warming.program import _parts, _test_files

#: Prints the modules whose code is rewritten in this process, and its child processes.
MAIN = """\
import os, sys
rewritten = []
if "instrument.session.unlinked_code" in sys.modules:
    unlinked_code = sys.modules["instrument.session.unlinked_code"].UnlinkedCode
    rewrite = unlinked_code._rewrite
    unlinked_code._rewrite = lambda *arguments: rewritten.append(arguments[1][-1].co_filename) or rewrite(*arguments)
import package.a
print([file for file in rewritten if "package" in file], package.a.f(3))
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child")
"""
FILES = {
    "__init__.py": "",
    "a.py": "from . import b\nimport package.c\ndef f(n):\n    return n is 3 and b.g(n)\n",  # with a warning of the compiler
    "b.py": "def g(n):\n    return n + 1\n",
    "c.py": "try:\n    import package.broken\nexcept SyntaxError:\n    pass\n",
    "broken.py": "(",
    "unused.py": "x = 1\n",
}


#: PYTHONPATH of processes that are measured even if the package is not installed.
STARTS = os.pathsep.join([str(ROOT / "instrument" / "bootstrap"), str(ROOT)])


class Clock:
    """Stands in for `time`."""

    now = 0.0

    def monotonic(self):
        """Return `now`."""
        return self.now


class Terminal(io.StringIO):
    """A text stream that seems to be a terminal."""

    def isatty(self):
        """Return True."""
        return True


@pytest.mark.parametrize(
    ("seconds", "stream", "is_quiet", "is_seen"),
    [
        (0.4, io.StringIO, False, False),
        (0.6, io.StringIO, False, True),
        (0.6, io.StringIO, True, False),
        (0.4, Terminal, False, True),
        (9.0, Terminal, True, False),
    ],
)
def test_a_line_says_what_was_prepared(monkeypatch, seconds, stream, is_quiet, is_seen):
    """It is printed on a terminal, and elsewhere after half a second. A bar is drawn after half a second."""
    clock, err = Clock(), stream()
    monkeypatch.setattr(ahead, "time", clock)
    monkeypatch.setattr("instrument.warming.progress.time", clock)
    monkeypatch.setattr("sys.stderr", err)
    report = ahead._Report(1_234, is_quiet)
    for n in range(1_234):
        clock.now = seconds * n / 1_233
        report.add(Outcome(f"{n}.py", Result.PREPARED, n_lines=10))
    report.add(Outcome("broken.py", Result.FAILED, "SyntaxError"))
    report.end()

    *_, last = err.getvalue().split("\r\x1b[K")
    line = f"instrument: prepared 1,234 files, 12,340 lines, {seconds} s; next time from the cache\n"
    assert last == (line if is_seen else "")
    assert ("\r\x1b[K[" in err.getvalue()) == (is_seen and stream is Terminal and seconds > 0.5)
    assert "SyntaxError" not in err.getvalue()


def test_nothing_is_said_if_nothing_was_prepared(monkeypatch):
    """All was in the cache before, or failed."""
    err = Terminal()
    monkeypatch.setattr("sys.stderr", err)
    report = ahead._Report(2, False)
    report.add(Outcome("a.py", Result.READY))
    report.add(Outcome("b.py", Result.FAILED, "SyntaxError"))
    report.end()

    assert err.getvalue() == ""


def parts(number):
    """Return so many modules of different content, by file name: equal content is rewritten once."""
    return {f"part{n}.py": f"{MANY}x = {n}\n" for n in range(number)}


def test_failures_that_may_pass_are_tried_again(tmp_path, monkeypatch):
    """A file that cannot be compiled is not: it has to change first."""
    cache = Cache("minimal", str(tmp_path / "cache"))
    reasons = {"a.py": "SyntaxError: line 2", "b.py": "cannot be written; is the disk full?"}
    paths = [str(tmp_path / name) for name in reasons]
    for path in paths:
        Path(path).touch()
    monkeypatch.setattr(ahead, "open_cache", lambda placement: cache)
    monkeypatch.setattr(
        ahead,
        "prepare_files",
        lambda *_, **__: (Outcome(path, Result.FAILED, reasons[os.path.basename(path)]) for path in paths),
    )
    ahead.prepare_ahead(paths, "minimal", True)

    assert [PreparedFiles(cache).is_ready(path) for path in paths] == [True, False]


def test_imports_of_tests_are_searched_in_the_folders_that_are_given(tmp_path, monkeypatch):
    """Without such folders, `sys.path` lacks its first entry: the program has another one there."""
    for path, text in {"code/shelf.py": "x = 1\n", "tests/test_shelf.py": "import shelf\n"}.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "code"), *sys.path])
    words, settings = ["-m", "pytest", "tests"], Settings(scope=["shelf"])
    prepared = []
    monkeypatch.setattr(ahead, "prepare_ahead", lambda files, *_: prepared.append(files))
    for name, folders in (("first", None), ("second", sys.path)):
        cache = Cache("minimal", str(tmp_path / name))  # it keeps the places of imports
        monkeypatch.setattr(program, "open_cache", lambda placement, cache=cache: cache)
        program.prepare_program(words, settings, folders)
        prepared.append(name)

    assert prepared == ["first", [str(tmp_path / "code" / "shelf.py")], "second"]


def start(folder, *arguments, **variables):
    """Start `instrument run` with *arguments* in *folder*, with a cache there; return the process."""
    variables = {"INSTRUMENT_CACHE": str(folder / "cache"), "stderr": subprocess.PIPE, **variables}
    stderr = variables.pop("stderr")
    return subprocess.Popen(
        [sys.executable, "-m", "instrument", "run", *arguments],
        env=environment_without_settings(**variables),
        cwd=folder,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def run(folder, *arguments, **variables):
    """Return exit status, output and errors of `instrument run` with *arguments* in *folder*."""
    process = start(folder, *arguments, **variables)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def test_a_first_run_finds_its_code_in_the_cache(tmp_path):
    """Errors and warnings are the program's own, no file is compiled that it does not import, and few are prepared."""
    package = make_package(tmp_path, FILES)
    (tmp_path / "main.py").write_text(MAIN)
    plain = subprocess.run(
        [sys.executable, "main.py"], env=environment_without_settings(), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for file in (package / "__pycache__").iterdir():
        file.unlink()
    status, out, err = run(tmp_path, "--scope", "package", "main.py")

    assert "SyntaxWarning" in plain.stderr
    assert (status, out, err) == (0, plain.stdout, plain.stderr)
    assert {file.name.partition(".")[0] for file in (package / "__pycache__").iterdir()} == {"__init__", "a", "b", "c"}
    names = Cache("minimal", str(tmp_path / "cache")).names()
    assert len([name for name in names if name.startswith("code ")]) == 4
    assert run(tmp_path, "--scope", "package", "main.py")[:2] == (0, out)


def test_a_terminal_shows_a_line_and_the_processes_leave_no_trace(tmp_path):
    """Several processes prepare the files. None is left, none is measured itself, and `--quiet` silences the line."""
    make_package(tmp_path, {**FILES, **parts(24)})
    (tmp_path / "main.py").write_text(MAIN + "".join(f"import package.part{n}\n" for n in range(24)))
    for options in ([], ["--quiet"]):
        for file in cached(tmp_path):
            file.unlink()
        ours, theirs = pty.openpty()
        process = start(tmp_path, "--scope", "package", *options, "main.py", stderr=theirs, INSTRUMENT="package", PYTHONPATH=STARTS)
        os.close(theirs)
        printed = printed_on(ours)
        assert process.communicate(timeout=100)[0] == "[] 4\nno child\n"
        lines = [line for line in re.split("\r\n|\r\x1b\\[K", printed.decode()) if line.startswith("instrument: ")]
        expected = r"instrument: prepared 28 files, 9,\d\d\d lines, \d+\.\d s; next time from the cache"
        assert (not lines) if options else re.fullmatch(expected, "+".join(lines))
    assert len(data_files(tmp_path / ".instrument")) == 2


def test_a_program_runs_without_standard_error(tmp_path):
    """Then no line is printed."""
    make_package(tmp_path, FILES)
    (tmp_path / "main.py").write_text(MAIN)
    command = 'exec "$0" -m instrument run --scope package main.py 2>&-'
    environment = environment_without_settings(INSTRUMENT_CACHE=str(tmp_path / "cache"))
    out = subprocess.run(["sh", "-c", command, sys.executable], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (out.returncode, out.stdout) == (0, "[] 4\nno child\n")


def test_workers_start_without_the_variable(monkeypatch):
    """They would measure the code that they prepare, and search the cache in vain."""
    monkeypatch.setenv("INSTRUMENT", "1")
    with workers._measurement_off():
        assert "INSTRUMENT" not in os.environ
    assert os.environ["INSTRUMENT"] == "1"
    monkeypatch.delenv("INSTRUMENT")
    with workers._measurement_off():
        pass
    assert "INSTRUMENT" not in os.environ


def test_a_measured_process_leaves_the_work_to_others(tmp_path):
    """A tool in such a process prepares files, too: they count as imported once, when the program imports them."""
    package = make_package(tmp_path, FILES)
    (tmp_path / "main.py").write_text(
        "if __name__ == '__main__':\n    from instrument.warming.ahead import prepare_ahead\n"
        f"    prepare_ahead({[str(package / name) for name in ('a.py', 'b.py', 'c.py')]}, 'minimal', True)\n"
        "    from instrument.session.session import session\n"
        "    n_live = len([group for group in session('minimal').groups.values() if 'package' in group.file_name])\n"
        + MAIN.replace("\n", "\n    ").join(["    ", ""])
        + "print(n_live)\n    print(sorted(line for (file, line) in __import__('instrument').snapshot().counts if file.endswith('b.py')))\n"
    )
    environment = environment_without_settings(INSTRUMENT=str(package), INSTRUMENT_CACHE=str(tmp_path / "cache"))
    environment["PYTHONPATH"] = STARTS
    process = subprocess.run([sys.executable, "main.py"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert process.stdout == f"['{package / '__init__.py'}'] 4\nno child\n0\n[1, 2]\n", process.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_the_run_before_the_program(tmp_path, name):
    """The cache has whole files, which the next run finds. The status is that of the signal."""
    make_package(tmp_path, parts(150))
    (tmp_path / "main.py").write_text("print('begun')\n" + "".join(f"import package.part{n}\n" for n in range(150)))
    process = start(tmp_path, "main.py")
    while len([path for path in cached(tmp_path) if len(path.name) == 16]) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    if name == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130 if name == "SIGINT" else -signal.SIGTERM, "")
    assert err.startswith("instrument: interrupted: ")
    assert err.endswith(" of 150 files are prepared; the program has not begun\n")
    assert all(len(path.name) == 16 for path in cached(tmp_path))
    cache = Cache("minimal", str(tmp_path / "cache"))
    (record,) = [name for name in cache.names() if name.startswith("prepared files")]
    assert 0 < len(cache.load(record)[0]) < 150
    assert_all_end(process.pid)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["-m", "shop.cli", "-v"], ("import shop.cli\nimport shop.cli.__main__\n", "here", "shop.cli", ["-v"])),
        (["-mshop"], ("import shop\nimport shop.__main__\n", "here", "shop", [])),
        (["-c", "import shop", "x"], ("import shop", "here", "import shop", ["x"])),
        (["-"], ("", "here", "", [])),
        (["inner/main.py", "x"], ("import a\n", "here/inner", "main.py", ["x"])),
        (["link.py"], ("import a\n", "here/inner", "link.py", [])),
        (["inner"], ("import b\n", "here/inner", "", [])),
        (["none.py"], ("", "here", "none.py", [])),
    ],
)
def test_the_program_is_found_by_the_words_of_its_command(tmp_path, monkeypatch, words, parts):
    """Its text, the first folder of `sys.path`, its name and its arguments are known."""
    (tmp_path / "here" / "inner").mkdir(parents=True)
    (tmp_path / "here" / "inner" / "main.py").write_text("import a\n")
    (tmp_path / "here" / "inner" / "__main__.py").write_text("import b\n")
    (tmp_path / "here" / "link.py").symlink_to("inner/main.py")
    monkeypatch.chdir(tmp_path / "here")
    text, folder, *others = _parts(words)

    assert (text, str(Path(folder).relative_to(tmp_path)), *others) == parts


def test_the_imports_of_tests_are_prepared(tmp_path):
    """A test runner may find them in `src`. Tests that were searched before lead to files that have changed since."""
    for path, text in {"tests/test_a.py": "import shop\n", "src/shop.py": "x = 1\n"}.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    for text in ("x = 1\n", "x = 10\n"):
        (tmp_path / "src" / "shop.py").write_text(text)
        status, _, err = run(tmp_path, "-m", "unittest", "-h")
        assert (status, err.count("Error")) == (0, 0)
        names = Cache("minimal", str(tmp_path / "cache")).names()
        assert len([name for name in names if name.startswith("code ")]) == len(text) - 5


def test_test_runners_load_files_that_nothing_imports(tmp_path, monkeypatch):
    """Their arguments name the files, or else the working folder is searched."""
    for name in ("tests/test_a.py", "tests/conftest.py", "tests/helper.py", "b_test.py", ".venv/test_c.py", "env/test_d.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    monkeypatch.chdir(tmp_path)

    def found(*arguments):
        return {os.path.relpath(path) for path in _test_files([*arguments])}

    assert found("-q") == found("none") == {"tests/test_a.py", "tests/conftest.py", "b_test.py"}
    assert found("tests/helper.py::test_x", "-k", "x") == {"tests/helper.py"}
    assert found("tests") == {"tests/test_a.py", "tests/conftest.py"}
