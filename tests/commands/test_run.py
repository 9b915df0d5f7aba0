"""`instrument run` becomes the program, with settings in its environment; it says itself only what concerns settings."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

#: In place of the recorder, if that is asked for: what is tested is what the process becomes.
STAND_IN = """\
import os, sys
class Recorder:
    def __init__(self, settings):
        self.settings = settings
        class scope:
            unmatched = staticmethod(lambda: [item for item in settings.scope if "nothing" in item])
        self.scope = scope
    def instrument_main(self, code, namespace):
        print("main", os.path.basename(namespace["__file__"]), self.settings)
        sys.stdout.flush()
        return code
start = Recorder
"""

SHOWS = """\
import os, sys
print(sys.argv, [entry for entry in sys.path if "bootstrap" in entry], __name__, __spec__ and __spec__.name, os.getpid())
print(sorted(name for name in os.environ if "INSTRUMENT" in name))
def frames():
    try:
        return sys._getframe(1 + (__spec__ is not None) * 2 + 1)
    except ValueError as error:
        return error
print(frames(), sys.modules["__main__"].__dict__ is globals())
if sys.argv[1:] == ["exit"]:
    sys.exit(3)
if sys.argv[1:] == ["raise"]:
    1 / 0
if sys.argv[1:] == ["interrupt"]:
    import signal
    os.kill(os.getpid(), signal.SIGINT)
    import time
    time.sleep(9)
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a program, and a copy of the package with a stand-in for its recorder."""
    (tmp_path / "program.py").write_text(SHOWS, encoding="utf-8")
    (tmp_path / "-odd.py").write_text(SHOWS, encoding="utf-8")
    tree = tmp_path / "tree"
    tree.mkdir()
    for path in (ROOT / "instrument").rglob("*.py"):
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tree / "instrument" / "runtime" / "recorder.py").write_text(STAND_IN, encoding="utf-8")
    return tmp_path


def run(folder, arguments, *interpreter, **environment):
    """Return the finished process of `instrument run` with these *arguments*, and its number."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT", "PYTHON"))}
    environment = {**kept, "PYTHONPATH": str(folder / "tree"), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, *interpreter, "-m", "instrument", "run", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err, process.pid


@pytest.mark.parametrize(
    ("arguments", "argv", "status"),
    [
        (["program.py", "a", "-b", "--scope", "x"], ["program.py", "a", "-b", "--scope", "x"], 0),
        (["--flush", "3", "program.py", "exit"], ["program.py", "exit"], 3),
        (["--", "program.py", "raise"], ["program.py", "raise"], 1),
        (["program.py", "interrupt"], ["program.py", "interrupt"], -2),
        (["-m", "program", "-m", "x"], ["{folder}/program.py", "-m", "x"], 0),
        (["-m", "program", "exit"], ["{folder}/program.py", "exit"], 3),
    ],
)
def test_the_process_becomes_the_program(folder, arguments, argv, status):
    """Same process, the program's own arguments, `__main__`, frames and exit status, and nothing else is said."""
    found, out, err, pid = run(folder, arguments)
    main, line, names, frames = out.splitlines()

    name = "program" if "-m" in arguments[:1] else None
    assert found == status
    assert main.startswith("main program.py Settings(scope=(), ")
    assert line == f"{[word.format(folder=folder) for word in argv]} [] __main__ {name} {pid}"
    assert names == "['INSTRUMENT', 'INSTRUMENT_DIR', 'INSTRUMENT_FLUSH', 'INSTRUMENT_SIGNAL', '_INSTRUMENT_ROOT']"
    assert frames == "call stack is not deep enough True"
    assert bool(err) == (status in (1, -2))
    assert "instrument" not in err


def test_options_are_settings(folder):
    """What is said in options outranks the environment, and is handed on to child processes."""
    options = ["--scope", "a,b.c", "--scope", "sub/", "--dir", "out", "--flush", "0", "--signal", "USR1", "program.py"]
    _, out, err, _ = run(folder, options, INSTRUMENT="other", INSTRUMENT_DIR="other")

    assert err == ""
    assert f"scope=('a', 'b.c', '{folder}/sub'), directory='{folder}/out', flush=0.0, signal=" in out
    assert "signal=None" not in out


def test_what_matched_nothing_is_said_at_the_end(folder):
    """Once, by the program's process, after all that the program says."""
    status, _, err, _ = run(folder, ["--scope", "program,no.nothing", "program.py", "exit"])

    assert (status, err) == (3, "instrument: 'no.nothing' in the scope matched nothing that was run\n")


def test_run_says_it_below_a_measured_process_too(folder):
    """It was asked for: the process of `instrument run` is outermost, whoever started it."""
    status, _, err, _ = run(folder, ["--scope", "no.nothing", "program.py"], _INSTRUMENT_ROOT="1")

    words = "nothing was counted: no module or file that was loaded is in the scope 'no.nothing'"
    assert (status, err) == (0, f"instrument: {words}\n")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "instrument run: error: the following arguments are required: program"),
        (["--scope", "a-b", "program.py"], 1, "instrument: --scope: 'a-b' is neither a dotted name nor a path"),
        (["--flush", "x", "program.py"], 1, "instrument: --flush is 'x'; it is to be a number of seconds"),
        (["no_such_program.py"], 2, "can't open file"),
        (["-m", "no_such_program"], 1, "No module named no_such_program"),
    ],
)
def test_mistakes_are_named(folder, arguments, status, words):
    """Those in options by us, those in the program by the interpreter."""
    found, out, err, _ = run(folder, arguments)

    assert (found, out) == (status, "")
    assert words in err


@pytest.mark.parametrize("option", ["-E", "-S"])
def test_options_of_the_interpreter_that_shut_us_out_are_named(folder, option):
    """Rather than to run and count nothing."""
    program = (
        f"import sys; sys.path.insert(0, {str(folder / 'tree')!r}); sys.argv = ['instrument', 'run', 'program.py']\n"
    )
    finished = subprocess.run(
        [sys.executable, option, "-c", f"{program}from instrument.cli import main; main()"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "tree")},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("instrument: ")
    assert option in finished.stderr


def test_options_of_the_interpreter_are_kept(folder):
    """Those that our own process was started with."""
    program = "import sys; print(sys.flags.optimize, sys.flags.dev_mode, sys.warnoptions, sys.stdout.write_through)"
    (folder / "flags.py").write_text(program, encoding="utf-8")

    _, out, _, _ = run(folder, ["flags.py"], "-O", "-u", "-X", "dev", "-W", "ignore::UserWarning")

    assert out.splitlines()[1] == "1 True ['default', 'ignore::UserWarning'] True"


def test_a_program_may_have_any_name(folder):
    """Also one that looks like an option."""
    status, out, err, _ = run(folder, ["--", "-odd.py"])

    assert (status, err) == (0, "")
    assert "['./-odd.py']" in out


def test_the_sites_own_customization_is_executed(folder):
    """What is found by `import sitecustomize` without us is found behind ours."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text("print('customized')\n", encoding="utf-8")
    paths = os.pathsep.join(map(str, (folder / "tree", folder / "site")))

    _, out, err, _ = run(folder, ["program.py"], PYTHONPATH=paths)

    assert err == ""
    assert out.count("customized") == 2  # by our own process, and by that of the program
