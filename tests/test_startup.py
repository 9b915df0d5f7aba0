"""A program that is measured from the start of its interpreter runs as in a plain run, and is counted.

Each program is run twice by an interpreter, plain and measured, and all that it prints about itself is compared. The
recorder is a minimal one (small_recorder.py), as these tests are about the start of a measurement.
"""

import compileall
import os
import pathlib
import re
import subprocess
import sys
import time
import zipfile

import pytest
from processes import connect, data_files

ROOT = pathlib.Path(__file__).parents[1]
#: The folder with a copy of the package that has the minimal recorder; filled by the fixture `tree`.
TREE: list[pathlib.Path] = []

SHOWS = """\
import os, sys
def depth():
    frame, n = sys._getframe(), 0
    while frame:
        frame, n = frame.f_back, n + 1
    return n
def work(n):
    return n + 1
for i in range(10):
    work(i)
here = vars(sys.modules["__main__"])
assert here is globals()
print("argv", sys.argv, sys.orig_argv[1:])
print("path", [entry for entry in sys.path if "bootstrap" not in entry])
print("frames", depth())
for name in list(here):
    if name not in ("__builtins__", "here"):
        print(name, getattr(here[name], "__dict__", here[name]) if name == "__loader__" else repr(here[name]))
print("spec", vars(__spec__) if __spec__ else None)
print("cached", {key: value for key, value in sys.path_importer_cache.items() if key.startswith(os.getcwd())})
# Modules that this package imports are not in `sys.modules`, except for those in C, and for its own.
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
files.pop("_frozen_importlib")  # has a file or not, by whether importlib was ever imported
print("modules", sorted(name for name, file in files.items() if file.endswith(".py") and "instrument" not in file))
import atexit
@atexit.register
def at_exit():
    print("at exit", sorted(name for name in here if name.startswith("__")))
"""
NOTHING = "instrument: nothing was counted: no module or file that was loaded is in the scope "
HINT = "; name a module or package as `import` does, a file or folder by its path, or 1 for the project's own code\n"
#: Lines of SHOWS, and how often they run.
COUNTS = {8: 10, 9: 11, 10: 10}


class Outcome:
    """Exit status, output and errors of a process; *counts* of all processes, by file name and line."""

    def __init__(self, finished, counts):
        self.status, self.out, self.err = finished.returncode, tidy(finished.stdout), tidy(finished.stderr)
        self.counts = counts


def tidy(text):
    """Return *text* without details that differ between two runs."""
    if sys.version_info < (3, 12):  # there the recursion limit counts C functions of this package, five of a thousand
        text = re.sub(r"repeated 9\d\d more", "repeated 99… more", text)
    return re.sub(r"0x[0-9a-f]+", "0x…", text)


def run(folder, arguments, scope=None, stdin="", **environment):
    """Run an interpreter with *arguments* in *folder*, measured with *scope* unless that is None; return the outcome."""
    counts = folder / "counts"
    for file in folder.glob("counts.*"):
        file.unlink()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))},
        "PYTHONPATH": os.pathsep.join(map(str, (TREE[0] / "instrument" / "bootstrap", TREE[0]))),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    if scope is not None:
        environment.update(INSTRUMENT=scope, COUNTS=str(counts), INSTRUMENT_CACHE=str(folder.parent / "cache"))
    command = [sys.executable, *arguments]
    finished = subprocess.run(
        command, cwd=folder, env=environment, input=stdin, capture_output=True, text=True, timeout=100
    )
    counts_by_line = {}
    for file in folder.glob("counts.*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, number, n = line.split()
            counts_by_line[name, int(number)] = counts_by_line.get((name, int(number)), 0) + int(n)
    return Outcome(finished, counts_by_line)


def both(folder, arguments, scope="1", **environment):
    """Return the outcome of a measured run, after comparing it with the outcome of a plain run."""
    plain = run(folder, arguments, **environment)
    measured = run(folder, arguments, scope, **environment)

    assert measured.out == plain.out
    assert measured.err == plain.err
    assert measured.status == plain.status
    return measured


@pytest.fixture(autouse=True, scope="module")
def tree(tmp_path_factory):
    """Make a copy of the package with the minimal recorder."""
    folder = tmp_path_factory.mktemp("tree")
    for path in (ROOT / "instrument").rglob("*.py"):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (folder / "instrument" / "record" / "recorder.py").write_bytes((ROOT / "tests" / "small_recorder.py").read_bytes())
    compileall.compile_dir(folder, quiet=2)  # the processes write no bytecode: each would compile the package again
    TREE[:] = [folder]


@pytest.fixture
def folder(tmp_path):
    """Make a folder with the program as a script, a module, a package, a folder and an archive."""
    folder = tmp_path / "work"
    (folder / "package").mkdir(parents=True)
    (folder / "folder").mkdir()
    (folder / "main.py").write_text(SHOWS, encoding="utf-8")
    (folder / "main").write_text(SHOWS, encoding="utf-8")
    (folder / "link.py").symlink_to("folder/__main__.py")
    (folder / "package" / "__init__.py").write_text("n = 1\n", encoding="utf-8")
    (folder / "package" / "__main__.py").write_text(SHOWS, encoding="utf-8")
    (folder / "package" / "tool.py").write_text(SHOWS, encoding="utf-8")
    (folder / "folder" / "__main__.py").write_text(SHOWS, encoding="utf-8")
    with zipfile.ZipFile(folder / "main.pyz", "w") as archive:
        archive.writestr("__main__.py", SHOWS)
    return folder


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        ("main.py a -b", "main.py"),
        ("./main.py", "main.py"),
        ("folder/../main.py -m x", "main.py"),
        ("main", "main"),
        ("link.py", "link.py"),
        ("-P main.py", "main.py"),
        ("-W error -X dev -u main.py", "main.py"),
        ("-m main a -b", "main.py"),
        ("-m package a", "__main__.py"),
        ("-m package.tool", "tool.py"),
        ("folder a -b", "__main__.py"),
        ("main.pyz a -b", "__main__.py"),
    ],
)
def test_main_programs_are_counted_and_find_everything_as_in_a_plain_run(folder, arguments, file):
    """They print the same variables, frames, modules, paths and arguments."""
    measured = both(folder, arguments.split())

    assert measured.status == 0
    assert {line: measured.counts.get((file, line)) for line in COUNTS} == COUNTS


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["-c", SHOWS, "a"], {"stdin": ""}),
        (["-", "a"], {"stdin": SHOWS}),
        ([], {"stdin": SHOWS}),
        (["/dev/stdin"], {"stdin": SHOWS}),
        (["-i", "-q", "-c", "x = 1"], {"stdin": "print(x)\n"}),
        (["-x", "main.py"], {}),
        (["no_such_file.py"], {}),
        (["-m", "no_such_module"], {}),
        (["-m", "package.no_such_module"], {}),
        (["-m", "main.py"], {}),
        (["broken.py"], {}),
        (["latin.py"], {}),
        (["-m", "broken"], {}),
    ],
)
def test_programs_that_cannot_be_counted_run_as_in_a_plain_run(folder, arguments, environment):
    """Commands and standard input have no file. Errors of programs that cannot be executed have the same words."""
    (folder / "broken.py").write_text("print(1)\nx = = 1\n", encoding="utf-8")
    (folder / "latin.py").write_bytes(b"x = '\xe9'\n")

    both(folder, arguments, **environment)


def test_modules_that_a_command_imports_are_counted(folder):
    """The command itself, from `-c`, has no file and is not."""
    (folder / "module.py").write_text("def f():\n    return 1\n", encoding="utf-8")

    measured = both(folder, ["-c", "import module; module.f(); module.f()"])

    assert measured.counts == {("module.py", 1): 1, ("module.py", 2): 2}


def test_a_bytecode_file_runs_as_a_script_as_in_a_plain_run(folder):
    """The interpreter executes it itself, uncounted."""
    import py_compile

    py_compile.compile(str(folder / "main.py"), str(folder / "main.pyc"))

    assert both(folder, ["main.pyc"]).status == 0


ENDINGS = {
    "falls off the end": "x = 1",
    "sys.exit(3)": "sys.exit(3)",
    "sys.exit of text": "sys.exit('so long')",
    "sys.exit(None)": "sys.exit()",
    "uncaught": "def f(x):\n    return (x + 1) / (x - 1)\nf(1) + f(2)",
    "uncaught chain": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('b') from error",
    "uncaught StopIteration": "next(iter(()))",
    "uncaught AttributeError": "sys.stdou",
    "uncaught group": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "SIGINT": "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)",
    "SIGTERM": "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(9)",
    "os._exit": "import os\nsys.stdout.flush()\nos._exit(4)",
    "excepthook": "sys.excepthook = lambda *a: print('hook', a[0].__name__, a[2].tb_frame.f_back)\n1 / 0",
    "recursion": "def f():\n    return f()\nf()",
    "no frame below": "sys._getframe(1)",
    "atexit raises": "import atexit\natexit.register(lambda: 1 / 0)",
    "warning": "import warnings\nwarnings.warn('w', stacklevel=1)\nwarnings.warn('w', stacklevel=2)",
    "imports runpy": "import runpy\nprint(sorted(vars(runpy).keys() - {'exec'}))",
}


@pytest.mark.parametrize("arguments", [["end.py"], ["-m", "end"]], ids=["script", "module"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_programs_end_as_in_a_plain_run(folder, ending, arguments):
    """With the same exit status, output and traceback."""
    (folder / "end.py").write_text(f"import sys\nprint('begun', flush=True)\n{ENDINGS[ending]}\n", encoding="utf-8")

    measured = both(folder, arguments)

    assert measured.out.startswith("begun\n")
    if not ending.startswith(("SIGTERM", "os._exit")):
        assert measured.counts["end.py", 2] == 1
    statuses = {"sys.exit(3)": 3, "SIGINT": -2, "SIGTERM": -15, "os._exit": 4, "KeyboardInterrupt": -2}
    known = statuses.get(ending, 1 if ending.startswith(("uncaught", "sys.exit of")) else None)
    assert known is None or measured.status == known


WORKERS = """\
import multiprocessing, pickle, sys
def double(n):
    return n * 2
class Thing:
    n = 3
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(pool.map(double, range(10), chunksize=1))
        pool.close()
        pool.join()
    process = context.Process(target=double, args=(1,))
    process.start()
    process.join()
    print(process.exitcode, pickle.loads(pickle.dumps(Thing())).n, Thing.__module__)
"""


@pytest.mark.parametrize("arguments", ["workers.py", "-m workers"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing_works_from_the_main_program(folder, method, arguments):
    """Functions and classes of `__main__` are pickled and found by other processes, where they are counted, too."""
    (folder / "workers.py").write_text(WORKERS, encoding="utf-8")

    measured = both(folder, [*arguments.split(), method])

    assert "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]" in measured.out
    assert measured.counts["workers.py", 12] == 1
    if method == "spawn":
        assert measured.counts["workers.py", 3] == 11
        assert measured.counts["workers.py", 2] == 4


def test_programs_that_call_runpy_are_counted_with_what_it_executes(folder):
    """By `runpy.run_path` and by `run_module`."""
    program = "import runpy\nfor i in range(3):\n    runpy.run_path('other.py')\nrunpy.run_module('other')\n"
    (folder / "main.py").write_text(program, encoding="utf-8")
    (folder / "other.py").write_text("x = 1\nfor i in range(2):\n    x += 1\n", encoding="utf-8")

    measured = both(folder, ["main.py"])

    assert measured.counts["other.py", 3] == 8
    assert measured.counts["main.py", 3] == 3


def test_the_scope_decides_about_the_main_program(folder):
    """A script is counted if its name or its path is in the scope."""
    for scope, is_counted in [("other", False), ("main", True), ("./main.py", True), ("folder/", False)]:
        measured = run(folder, ["main.py"], scope)

        assert (("main.py", 8) in measured.counts) == is_counted, scope


def test_child_processes_inherit_the_settings_with_absolute_paths(folder):
    """The child works in another folder, where the project file is not found."""
    (folder / "pyproject.toml").write_text('[tool.instrument]\nscope = ["sub/", "name"]\nflush = 5\n', encoding="utf-8")
    child = "import os; print(sorted((n, v) for n, v in os.environ.items() if 'INSTRUMENT_' in n or n == 'INSTRUMENT'))"
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], cwd='/')\n"
    (folder / "main.py").write_text(program, encoding="utf-8")

    measured = run(folder, ["main.py"], "1")

    assert measured.err.startswith(NOTHING)
    assert measured.err.count("\n") == 1  # the child says nothing
    assert f"('INSTRUMENT', '{folder}/sub,name')" in measured.out
    assert f"('INSTRUMENT_DIR', '{folder}/.instrument')" in measured.out
    assert "('INSTRUMENT_FLUSH', '5')" in measured.out


def test_a_scope_that_matches_nothing_is_named_at_the_end(folder):
    """Once, after all output of the program, for each item of the scope that matched no code."""
    (folder / "main.py").write_text("import math, package, sys\nsys.exit(3)\n", encoding="utf-8")
    said = {
        "packag": f"{NOTHING}'packag'{HINT}",
        "packag,./sub": f"{NOTHING}'packag,{folder}/sub'{HINT}",
        "package,sub": "instrument: 'sub' in the scope matched nothing that was run; "
        "`instrument debug sub` says whether it can be found\n",
        "1,sub": "instrument: 'sub' in the scope matched nothing that was run; "
        "`instrument debug sub` says whether it can be found\n",
        "math,main": "instrument: 'math' in the scope was loaded, but has no Python code that could be counted\n",
        "package,main": "",
        "1": "",
        "yes": "",
    }

    for scope, words in said.items():
        measured = run(folder, ["main.py"], scope)
        assert (measured.status, measured.err) == (3, words), scope

    (folder / "pyproject.toml").write_text('[tool.instrument]\nscope = ["packag"]\n', encoding="utf-8")
    measured = run(folder, ["main.py"], "1")
    assert measured.err == f"{NOTHING}'packag' ({folder}/pyproject.toml, [tool.instrument], key 'scope'){HINT}"


def test_a_pattern_as_scope_is_refused_at_the_start(folder):
    """The program runs, and the message names an alternative."""
    measured = run(folder, ["-c", "print(1)"], "*.py")

    assert (measured.out, measured.status) == ("1\n", 0)
    assert measured.err.startswith("instrument: nothing is counted in this process: INSTRUMENT: '*.py' is a pattern")


def test_only_the_outermost_process_names_a_scope_that_matches_nothing(folder):
    """A child process that does not load the scope is no mistake."""
    helper = "import os, sys, subprocess\nsubprocess.run([sys.executable, '-c', 'pass'])\n"
    (folder / "main.py").write_text(f"{helper}if not os.fork():\n    sys.exit()\nos.wait()\n", encoding="utf-8")

    assert run(folder, ["main.py"], "packag").err == f"{NOTHING}'packag'{HINT}"
    assert run(folder, ["main.py"], "main").err == ""
    (folder / "main.py").write_text("import os, sys\nos.execv(sys.executable, [sys.executable, '-c', ''])\n")
    assert run(folder, ["main.py"], "packag").err == f"{NOTHING}'packag'{HINT}"


def test_the_outermost_process_says_that_rewriting_took_long(folder):
    """Once, at its end, with advice; children and forks are silent, and so is a process that took less, or is quiet."""
    program = """\
import os, subprocess, sys
startup = sys.modules["instrument.startup"]
startup._LONG = float(sys.argv[1])
import package
if sys.argv[2:]:
    subprocess.run([sys.executable, __file__, sys.argv[1]])
    if not os.fork():
        sys.exit()
    os.wait()
print("end", file=sys.stderr)
"""
    (folder / "main.py").write_text(program, encoding="utf-8")
    line = r"instrument: rewriting code took \d+\.\d s of this process; {} \(INSTRUMENT_QUIET=1 leaves this line out\)\n"
    advice = "the next one finds the code in the cache; `instrument warm PATH` fills the cache ahead of time"

    assert re.fullmatch("end\nend\n" + line.format(advice), run(folder, ["main.py", "1e-9", "all"], "1").err)
    assert run(folder, ["main.py", "60"], "1").err == "end\n"
    assert run(folder, ["main.py", "0", "all"], "1", INSTRUMENT_QUIET="1").err == "end\nend\n"
    (folder / "pyproject.toml").write_text("[tool.instrument]\nquiet = true\n", encoding="utf-8")
    assert run(folder, ["main.py", "0", "all"], "1").err == "end\nend\n"
    (folder / "pyproject.toml").unlink()
    (folder.parent / "cache").mkdir(exist_ok=True)
    (folder.parent / "cache").chmod(0o777)
    advice = r"each process does so, as there is no cache: the folder .*/cache cannot be used: others can write to it.*"
    assert re.fullmatch("end\n" + line.format(advice), run(folder, ["main.py", "1e-9"], "1").err)


def test_an_unmatched_scope_is_not_named_if_another_process_has_written_data(folder):
    """That process may have run the code, as workers of a server do."""
    program = "import sys, time\nopen(sys.argv[1] + '/host-1-%x-0.sqlite' % int(float(sys.argv[2]) * 1e9), 'w')\n"
    (folder / "main.py").write_text(program, encoding="utf-8")
    (folder / "data").mkdir()

    for started, is_said in [(time.time() + 60, False), (time.time() - 60, True)]:
        for file in (folder / "data").iterdir():
            file.unlink()
        measured = run(folder, ["main.py", str(folder / "data"), str(started)], "packag", INSTRUMENT_DIR="data")
        assert measured.err == (f"{NOTHING}'packag'{HINT}" if is_said else "")


@pytest.mark.parametrize("scope", ["", "0", "off", "false", "no"])
def test_values_that_switch_the_measurement_off_import_nothing(folder, scope):
    """No module of the recorder is in `sys.modules`."""
    measured = run(
        folder,
        ["-c", "import sys; print([n for n in sys.modules if n.startswith(('instrument.re', 'instrument.ru'))])"],
        scope,
    )

    assert (measured.out, measured.err, measured.status) == ("[]\n", "", 0)


@pytest.mark.parametrize(
    ("environment", "toml", "words"),
    [
        ({"INSTRUMENT_FLUSH": "soon"}, "", "INSTRUMENT_FLUSH is 'soon'; it must be a number of seconds"),
        ({}, "[tool.instrument]\nscop = 1\n", "unknown key 'scop' in [tool.instrument]"),
        ({}, "[tool.instrument\n", "cannot be read as TOML"),
    ],
)
def test_invalid_settings_are_named_and_the_program_runs(folder, environment, toml, words):
    """One line on standard error names the mistake."""
    if toml:
        (folder / "pyproject.toml").write_text(toml, encoding="utf-8")
    plain = run(folder, ["main.py"], **environment)
    measured = run(folder, ["main.py"], "1", **environment)

    assert measured.err.startswith("instrument: nothing is counted in this process: ")
    assert words in measured.err
    assert measured.err.count("instrument:") == 1
    assert measured.status == 0
    assert measured.out == plain.out


# The start-up file ####################################################################################################

FILE = ROOT / "instrument" / "bootstrap" / "instrument.pth"


@pytest.mark.parametrize("arguments", [["program.py"], ["-m", "program"], ["-c", "import program"], ["."]])
@pytest.mark.parametrize("file", ["instrument.py", "instrument/__init__.py"])
def test_a_program_with_a_module_called_instrument_gets_its_own(folder, arguments, file):
    """One line says that nothing is counted."""
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text("print('mine', __name__)\n", encoding="utf-8")
    for name in ("program.py", "__main__.py"):
        (folder / name).write_text("import instrument, sys\nprint(instrument.__file__)\n", encoding="utf-8")

    plain, measured = run(folder, arguments), run(folder, arguments, "1")

    assert measured.out == plain.out
    assert measured.out.startswith("mine instrument\n")
    assert "has the name of this package; rename it (README, limit own-name)" in measured.err
    assert not measured.counts


def test_a_module_called_instrument_is_mentioned_once(folder):
    """`site` executes the start-up file of a virtual environment twice."""
    (folder / "instrument.py").write_text("", encoding="utf-8")
    program = f"for line in [*open({str(FILE)!r})] * 2:\n    exec(line)\n"

    measured = run(folder, ["-c", program], "1", PYTHONPATH=str(TREE[0]))

    assert measured.err.count("has the name of this package") == 1


def run_startup_file(folder, *options, **environment):
    """Execute the start-up file as `site` does; return the outcome, which lists the imported modules of the package."""
    program = (
        f"import sys\nfor line in open({str(FILE)!r}):\n    exec(line)\n"
        "print([n for n in sys.modules if n.startswith('instrument')])"
    )
    return run(folder, [*options, "-c", program], **environment)


def test_the_startup_file_is_one_line_that_tests_the_environment_first(folder):
    """`site` executes lines that begin with `import`. Without the variable nothing else is imported."""
    [line] = FILE.read_text(encoding="ascii").splitlines()

    assert line.startswith('import os; os.environ.get("INSTRUMENT") and ')
    assert run_startup_file(folder).out == "[]\n"


def test_the_startup_file_harms_no_interpreter(folder):
    """Even if the package was removed, or cannot be imported."""
    outcomes = [run_startup_file(folder, INSTRUMENT="1", PYTHONPATH="/nowhere", PYTHONNOUSERSITE="1")]
    (folder / "instrument").mkdir()
    (folder / "instrument" / "__init__.py").write_text("1 / 0\n", encoding="utf-8")
    outcomes.append(run_startup_file(folder, "-S", INSTRUMENT="1", PYTHONPATH=str(folder)))

    for outcome in outcomes:
        assert outcome.status == 0
        assert "Error" not in outcome.err
    assert outcomes[1].out == "[]\n"


def test_warnings_of_the_compiler_are_printed_each_time(folder):
    """The code of a script is kept in the cache only if compiling it prints nothing."""
    (folder / "warns.py").write_text("x = 1\nprint(x is 1, 2)\n", encoding="utf-8")
    (folder / "fails.py").write_text("print(1 +)\n", encoding="utf-8")
    for script in ("warns.py", "fails.py"):
        plain = run(folder, [script])
        for _ in range(3):
            measured = run(folder, [script], "1")
            assert (measured.out, measured.err, measured.status) == (plain.out, plain.err, plain.status)
        assert "Syntax" in plain.err


@pytest.mark.parametrize("option", ["-E", "-I"])
def test_options_that_ignore_the_environment_ignore_our_variables(folder, option):
    """The recorder is not started with -E and -I."""
    program = (
        f"import sys; sys.path.append({str(ROOT)!r})\nfor line in open({str(FILE)!r}):\n    exec(line)\n"
        "print([n for n in sys.modules if n.startswith('instrument.record.rec')])"
    )
    outcome = run(folder, [option, "-c", program], "1")

    assert (outcome.out, outcome.err) == ("[]\n", "")


def test_importing_the_package_imports_few_modules(folder):
    """The public names are imported when they are first used."""
    program = (
        "import sys; before = set(sys.modules); import instrument\n"
        "print(sorted(set(sys.modules) - before), 'Trace' in dir(instrument))\n"
        "print(instrument.Trace.__name__, instrument.trace.Trace is instrument.Trace, '__future__' in sys.modules)\n"
        "try: instrument.nothing\nexcept AttributeError as error: print(error)"
    )
    outcome = run(folder, ["-c", program])

    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        "['instrument', 'instrument.guest', 'instrument.guest.own_builtins', 'instrument.guest.own_imports', 'instrument.guest.own_loader', 'instrument.version'] True",
        "Trace True False",
        "module 'instrument' has no attribute 'nothing'",
    ]


# A start by the program itself ############################################################################################################

CALLS = """\
import sys
{paths}
def work(n):
    for i in range(n):
        pass
work(1)
import instrument
print(instrument.start({arguments}), instrument.start())
work(2)
import module
module.f(3)
print(sorted(name for name in sys.modules if name.startswith("_instrument")))
"""


@pytest.fixture
def started(tmp_path):
    """Return a function that runs a program which calls `instrument.start`, without a start-up file."""
    (tmp_path / "module.py").write_text("def f(n):\n    return n\n", encoding="utf-8")

    def run_it(*options, arguments="", **environment):
        site = next(path for path in sys.path if (pathlib.Path(path) / "bytecode" / "concrete.py").exists())
        paths = f"sys.path += [{str(ROOT)!r}, {site!r}, {str(tmp_path)!r}]"
        program = tmp_path / "program.py"
        program.write_text(CALLS.format(paths=paths, arguments=arguments), encoding="utf-8")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT_D", "PYTHON"))}
        clean.pop("INSTRUMENT", None)
        done = subprocess.run(
            [sys.executable, *options, str(program)],
            cwd=tmp_path,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        counts = {}
        for file in data_files(tmp_path / environment.get("INSTRUMENT_DIR", ".instrument")):
            query = "SELECT path, line, count FROM line JOIN file ON file.id = line.file"
            connection = connect(file)
            for path, line, n in connection.execute(query):
                counts[os.path.basename(path), line] = n
            reasons = dict(connection.execute("SELECT path, reason FROM not_measured"))
            if environment.get("INSTRUMENT") is None:  # so that no report calls lines of the running script missing
                assert reasons == {str(program): "it was running when instrument.start() was called"}
            connection.close()
            file.unlink()
        return done.stdout, done.stderr, counts

    return run_it


COUNTED = {("program.py", 4): 3, ("program.py", 5): 2, ("module.py", 1): 1, ("module.py", 2): 1}


@pytest.mark.parametrize("options", [(), ("-S",), ("-I",), ("-I", "-S")])
def test_a_program_can_start_the_measurement_itself(started, options):
    """Existing functions are counted from their next call on. A second call of `start` does nothing."""
    output, errors, counts = started(*options)

    assert (output, errors) == ("True True\n[]\n", "")
    assert counts == COUNTED


def test_arguments_of_start_outrank_the_environment(started):
    """They have the same meaning as the variables."""
    output, _, counts = started("-S", arguments="'module', flush=0", INSTRUMENT="program", INSTRUMENT_DIR="elsewhere")

    assert output.startswith("True True\n")
    assert counts == {("module.py", 1): 1, ("module.py", 2): 1}


@pytest.mark.parametrize("value", ["0", "off", ""])
def test_start_does_nothing_if_the_environment_switches_it_off(started, value):
    """The variable does so for one run of a program."""
    assert started(INSTRUMENT=value) == ("False False\n[]\n", "", {})


def test_start_says_why_it_fails(started):
    """In one line for each call, and the program goes on."""
    output, errors, counts = started(INSTRUMENT_FLUSH="soon")

    assert (output, counts) == ("False False\n[]\n", {})
    reason = "INSTRUMENT_FLUSH is 'soon'; it must be a number of seconds, or 0 to save only at the end"
    assert set(errors.splitlines()) == {f"instrument: nothing is counted in this process: {reason}"}


def test_start_raises_an_error_for_an_invalid_argument(started):
    """Unlike a variable, an argument is a mistake in the program itself."""
    with pytest.raises(AssertionError, match=r"ConfigError: .*neither a dotted name nor a path"):
        started(arguments="'no such thing'")


def test_start_does_nothing_in_a_process_that_is_recorded(started):
    """It is recorded as before, from its beginning."""
    bootstrap = str(ROOT / "instrument" / "bootstrap")
    output, errors, counts = started(INSTRUMENT="1", PYTHONPATH=bootstrap)

    assert (output, errors) == ("True True\n[]\n", "")
    assert counts["program.py", 7] == 1
    assert counts["program.py", 4] == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
def test_a_message_that_cannot_be_written_does_not_change_the_exit_status(folder):
    """If text stays in the buffer of standard error, the interpreter fails to write it, and exits with 120."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "print(1)"],
            cwd=folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))},
                "PYTHONPATH": os.pathsep.join(map(str, (TREE[0] / "instrument" / "bootstrap", TREE[0]))),
                "INSTRUMENT": "nothing",
            },
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=60,
        )
    assert (done.stdout, done.returncode) == (b"1\n", 0)
