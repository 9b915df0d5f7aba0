"""Tests of `instrument run`: the process becomes the program, with the settings in its environment."""

import compileall
import os
import pathlib
import re
import subprocess
import sys

import pytest
from instrument_command import ROOT, environment_without_settings, run_instrument

from instrument.config.values import ITEMS

#: Replaces instrument/record/recorder.py: these tests concern the process, not the counts.
STAND_IN = """\
import os, sys
class Recorder:
    def __init__(self, settings):
        self.settings = settings
        class scope:
            unmatched = staticmethod(lambda: [item for item in settings.scope if "nothing" in item])
            has_matched_own = staticmethod(lambda: True)
        self.scope = scope
    def instrument_main(self, code, namespace):
        print("main", os.path.basename(namespace["__file__"]), self.settings)
        sys.stdout.flush()
        return code
start = Recorder
"""

PROGRAM = """\
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


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the package with a stand-in for its recorder, with bytecode: the processes of the tests write none."""
    tree = tmp_path_factory.mktemp("tree")
    for path in (ROOT / "instrument").rglob("*.py"):
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tree / "instrument" / "record" / "recorder.py").write_text(STAND_IN, encoding="utf-8")
    compileall.compile_dir(tree, quiet=2)
    return tree


@pytest.fixture
def folder(tmp_path, tree):
    """A folder with a program, and with that copy of the package as `tree`."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "-odd.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "tree").symlink_to(tree)
    return tmp_path


def run(folder, arguments, *options, **variables):
    """Run `python OPTIONS -m instrument run ARGUMENTS` with the stand-in; return status, output, errors and number.

    On a busy machine preparing takes half a second, which standard error says. That line is left out.
    """
    variables = {"PYTHONPATH": str(folder / "tree"), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    finished = run_instrument(folder, "run", *arguments, options=options, **variables)
    return finished._replace(err=re.sub("instrument: prepared .*; next time from the cache\n", "", finished.err))


@pytest.mark.parametrize(
    ("arguments", "argv", "status"),
    [
        (["program.py", "a", "-b", "--scope", "x"], ["program.py", "a", "-b", "--scope", "x"], 0),
        (["--flush", "3", "program.py", "exit"], ["program.py", "exit"], 3),
        (["--", "program.py", "raise"], ["program.py", "raise"], 1),
        (["program.py", "interrupt"], ["program.py", "interrupt"], -2),
        (["-m", "program", "-m", "x"], ["{folder}/program.py", "-m", "x"], 0),
        (["-m", "program", "exit"], ["{folder}/program.py", "exit"], 3),
        (["-m", "program", "--", "exit"], ["{folder}/program.py", "--", "exit"], 0),
        (["-mprogram", "exit"], ["{folder}/program.py", "exit"], 3),
    ],
)
def test_the_process_becomes_the_program(folder, arguments, argv, status):
    """The program has the same process, its own arguments, `__main__`, frames and exit status; nothing else is printed."""
    actual_status, out, err, pid = run(folder, arguments)
    main, line, names, frames = out.splitlines()

    name = "program" if arguments[0].startswith("-m") else None
    assert actual_status == status
    assert main.startswith("main program.py Settings(scope=(), ")
    assert line == f"{[word.format(folder=folder) for word in argv]} [] __main__ {name} {pid}"
    assert names == "['INSTRUMENT', 'INSTRUMENT_DIR', 'INSTRUMENT_FLUSH', 'INSTRUMENT_SIGNAL', '_INSTRUMENT_ROOT']"
    assert frames == "call stack is not deep enough True"
    assert bool(err) == (status in (1, -2))
    assert "instrument" not in err


def test_code_after_c_is_run(folder):
    """The code gets its own arguments, even if they look like options, and its imports are counted."""
    code = "import sys, os; print(sys.argv, __name__, 'INSTRUMENT' in os.environ)"

    for arguments in (["-c", code, "-m", "x"], ["--flush", "0", f"-c{code}", "-m", "x"]):
        status, out, err, _ = run(folder, arguments)
        assert (status, out, err) == (0, "['-c', '-m', 'x'] __main__ True\n", "")


def test_standard_input_is_run(folder):
    """`-` is standard input, as for the interpreter; after `--` it is a file of that name."""
    (folder / "-").write_text("print('a file')\n", encoding="utf-8")

    assert run(folder, ["-"])[:3] == (0, "", "")
    assert run(folder, ["--", "-"])[1].splitlines()[1:] == ["a file"]


SHEBANGS = {
    "plain": "#!{python}\n",
    "options": "#!{python} -u\n",
    "env": "#!/usr/bin/env {name}\n",
    "env -S": "#!/usr/bin/env -S A=1 {name} -u\n",
    "long": "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
}


@pytest.mark.parametrize("kind", SHEBANGS)
def test_installed_commands_are_run(folder, kind, monkeypatch):
    """A command is found by its name, whatever starts its interpreter. A file of that name precedes it."""
    python = pathlib.Path(sys.executable)
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder / "bin"), str(python.parent), os.environ["PATH"])))
    (folder / "bin").mkdir()
    (folder / "bin" / "sell").write_text(SHEBANGS[kind].format(python=python, name=python.name) + PROGRAM)
    (folder / "bin" / "sell").chmod(0o755)

    status, out, err, _ = run(folder, ["sell", "exit"])
    assert (status, err) == (3, "")
    assert out.splitlines()[1].startswith(f"['{folder}/bin/sell', 'exit'] [] __main__ None")

    (folder / "sell").write_text("print('here')\n", encoding="utf-8")
    assert run(folder, ["sell"])[1].splitlines()[-1] == "here"


def test_a_command_of_another_python_is_refused(folder, monkeypatch):
    """Its packages are installed in the other environment."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder / "bin"), os.environ["PATH"])))
    (folder / "bin").mkdir()
    for name, text in (("python3.9", "#!/bin/sh\n"), ("sell", f"#!{folder}/bin/python3.9\n")):
        (folder / "bin" / name).write_text(text, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)

    status, out, err, _ = run(folder, ["sell"])

    assert (status, out) == (1, "")
    assert f"{folder}/bin/sell runs with {folder}/bin/python3.9, another Python than {sys.executable}; install" in err


def test_options_precede_the_environment(folder):
    """The settings in options reach the program and its child processes."""
    options = ["--scope", "a,b.c", "--scope", "sub/", "--dir", "out", "--flush", "0", "--signal", "USR1", "program.py"]
    _, out, err, _ = run(folder, options, INSTRUMENT="other", INSTRUMENT_DIR="other")

    assert err == ""
    assert f"scope=('a', 'b.c', '{folder}/sub'), directory='{folder}/out', flush=0.0, signal=" in out
    assert "signal=None" not in out


UNMATCHED_ITEM = (
    "instrument: 'no.nothing' in the scope matched nothing that was run; "
    "`instrument debug no.nothing` says whether it can be found\n"
)


def test_unmatched_items_are_named_at_the_end(folder):
    """The program's process prints one line, after all output of the program."""
    status, _, err, _ = run(folder, ["--scope", "program,no.nothing", "program.py", "exit"])

    assert (status, err) == (3, UNMATCHED_ITEM)


def test_unmatched_items_are_named_below_a_measured_process_too(folder):
    """The process of `instrument run` counts as the outermost one, whoever started it."""
    status, _, err, _ = run(folder, ["--scope", "no.nothing", "program.py"], _INSTRUMENT_ROOT="1")

    words = "nothing was counted: no module or file that was loaded is in the scope 'no.nothing'"
    assert (status, err) == (0, f"instrument: {words}; name {ITEMS}\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "instrument run: error: which program? Name a script, an installed command, -m MODULE or -c CODE"),
        (["--flush", "0", "--"], 2, "instrument run: error: which program? Name a script"),
        (["-m"], 2, "instrument run: error: -m needs the name of a module after it"),
        (["-c"], 2, "instrument run: error: -c needs code after it"),
        (["no_such_command"], 1, "instrument: there is no file 'no_such_command' here, and no command of that name"),
        (["ls"], 1, "/ls is no Python program; if it starts one, set INSTRUMENT=1"),
        (["python3", "program.py"], 1, "/python3 is an interpreter; leave 'python3' out, as in `instrument run shop.py`"),
        (["--scope", "a-b", "program.py"], 1, "instrument: --scope: 'a-b' is neither a dotted name nor a path"),
        (["--flush", "x", "program.py"], 1, "instrument: --flush is 'x'; it must be a number of seconds"),
        (["no_such_program.py"], 2, "can't open file"),
        (["-m", "no_such_program"], 1, "No module named no_such_program"),
    ],
)
def test_mistakes_are_named(folder, arguments, status, message):
    """A mistake in the options is named by `instrument`, a mistake in the program by the interpreter."""
    finished = run(folder, arguments)

    assert (finished.status, finished.out) == (status, "")
    assert message in finished.err


@pytest.mark.parametrize("option", ["-E", "-S"])
def test_interpreter_options_that_prevent_counting_are_refused(folder, option):
    """The message names the option."""
    program = (
        f"import sys; sys.path.insert(0, {str(folder / 'tree')!r}); sys.argv = ['instrument', 'run', 'program.py']\n"
    )
    finished = subprocess.run(
        [sys.executable, option, "-c", f"{program}from instrument.cli import main; main()"],
        cwd=folder,
        env=environment_without_settings(PYTHONPATH=str(folder / "tree")),
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.startswith("instrument: ")
    assert option in finished.stderr


def test_interpreter_options_are_passed_on(folder):
    """The program's interpreter gets the options of the interpreter of `instrument run`."""
    program = "import sys; print(sys.flags.optimize, sys.flags.dev_mode, sys.warnoptions, sys.stdout.write_through)"
    (folder / "flags.py").write_text(program, encoding="utf-8")

    _, out, _, _ = run(folder, ["flags.py"], "-O", "-u", "-X", "dev", "-W", "ignore::UserWarning")

    assert out.splitlines()[1] == "1 True ['default', 'ignore::UserWarning'] True"


def test_a_program_may_have_the_name_of_an_option(folder):
    """After `--` the next word is a file."""
    status, out, err, _ = run(folder, ["--", "-odd.py"])

    assert (status, err) == (0, "")
    assert "['./-odd.py']" in out


def test_another_sitecustomize_is_executed(folder):
    """The stand-in for the start-up file executes the `sitecustomize` that follows in `sys.path`."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text("print('customized')\n", encoding="utf-8")
    paths = os.pathsep.join(map(str, (folder / "tree", folder / "site")))

    _, out, err, _ = run(folder, ["program.py"], PYTHONPATH=paths)

    assert err == ""
    assert out.count("customized") == 2  # by our own process, and by that of the program


def test_a_run_that_counts_no_own_code_says_so(folder):
    """If only the standard library was loaded under the default scope, the message names the way out."""
    words = (
        "instrument: nothing was counted: no module or file that was loaded is in the scope, the project's own code; "
        "--scope NAME counts an installed package\n"
    )
    (folder / "own.py").write_text("x = 1\n", encoding="utf-8")
    for arguments, message in ((["-m", "json.tool", "--help"], words), (["own.py"], ""), (["-c", "import own"], "")):
        finished = run_instrument(folder, "run", *arguments, INSTRUMENT_DIR=str(folder / "data"))
        assert (finished.status, finished.err) == (0, message), arguments
    finished = run_instrument(folder, "run", "-c", "import json", INSTRUMENT_DIR=str(folder / "data"))
    assert finished.err.endswith("own code; a program from -c, standard input or a .pyc file is not counted (README, limit main-program)\n")


def test_a_program_that_leaves_its_folder_has_begun(folder):
    """The message does not depend on whether the path of the program still leads to it."""
    (folder / "site-packages").mkdir()
    (folder / "site-packages" / "tool.py").write_text("import os\nos.chdir('/')\n", encoding="utf-8")

    finished = run_instrument(folder, "run", "site-packages/tool.py", INSTRUMENT_DIR=str(folder / "data"))

    assert finished.err.endswith("own code; --scope NAME counts an installed package\n")


@pytest.mark.parametrize("arguments", [["broken.py"], ["absent.py"], ["-m", "absent"]], ids=" ".join)
def test_only_the_interpreter_says_that_a_program_cannot_begin(arguments, folder):
    """Nothing is said of counts if the main program has an error of syntax, or is not found."""
    (folder / "broken.py").write_text("def f(:\n", encoding="utf-8")

    finished = run_instrument(folder, "run", *arguments, INSTRUMENT_DIR=str(folder / "data"))

    assert finished.status
    assert "SyntaxError" in finished.err or "can't open file" in finished.err or "No module named" in finished.err
    assert "instrument:" not in finished.err


def test_the_file_of_the_scope_is_named(folder):
    """The message names pyproject.toml, not the variable by which `run` passes the scope on."""
    (folder / "pyproject.toml").write_text('[tool.instrument]\nscope = ["no.nothing"]\n', encoding="utf-8")

    err = run(folder, ["program.py"])[2]

    assert err.endswith(f"'no.nothing' ({folder}/pyproject.toml, [tool.instrument], key 'scope'); name {ITEMS}\n")
    assert err.count("\n") == 1
