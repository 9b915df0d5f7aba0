"""Tests of `instrument debug`: settings with their origins, and verdicts with reasons on files, modules and commands."""

import os
import py_compile
import subprocess
import sys
import venv
import zipfile

import pytest
from instrument_command import ROOT, run_instrument


@pytest.fixture
def folder(tmp_path):
    """A project with a package, and a file of each kind that is not measured."""
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    (tmp_path / "package" / "module.py").write_text("def f(): return 1\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("x = = 1\n", encoding="utf-8")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "other.py").write_text("", encoding="utf-8")
    return tmp_path


def debug(folder, *arguments, **variables):
    """Run `instrument debug ARGUMENTS`; return its status, a dict from names of rows to their texts, and its errors."""
    finished = run_instrument(folder, "debug", *arguments, **{"INSTRUMENT_CACHE": str(folder / "cache"), **variables})
    rows = {}
    for line in finished.out.splitlines():
        if line.startswith("  "):
            name, _, text = line.strip().partition("  ")
            rows[name.strip()] = text.strip()
    return finished.status, rows, finished.err


def test_unknown_variables_are_named(folder):
    """A misspelt variable, or a wrong name for an option, gets a line with the right names."""
    _status, _lines, err = debug(folder, INSTRUMENT_SCOPE="package", INSTRUMENT_DIRR="data", INSTRUMENT_FLUSH="1")
    scope, folder_of_data = sorted(err.splitlines(), reverse=True)
    assert scope == (
        "instrument: nothing reads INSTRUMENT_SCOPE: the scope is the value of INSTRUMENT, as in INSTRUMENT=shop"
    )
    assert folder_of_data.startswith("instrument: nothing reads INSTRUMENT_DIRR: the variables are INSTRUMENT, ")
    assert "INSTRUMENT_DIR, " in folder_of_data


def test_each_setting_is_shown_with_its_origin(folder):
    """The origin is an option, a variable, a file with table and key, or the default."""
    (folder / "pyproject.toml").write_text("[tool.instrument]\nflush = 0\n", encoding="utf-8")

    status, lines, err = debug(folder, "--scope", "package", INSTRUMENT_DIR="data")

    assert (status, err) == (0, "")
    assert lines["scope"] == "package  [--scope]"
    assert lines["dir"] == f"{folder}/data  [INSTRUMENT_DIR]"
    assert lines["flush"] == f"only at the end  [{folder}/pyproject.toml, [tool.instrument], key 'flush']"
    assert lines["signal"] == "none  [default]"
    assert lines["counting"].startswith("off in processes with this environment (INSTRUMENT is unset)")
    assert lines["python"].endswith("supported")
    assert lines["cache"].startswith(str(folder / "cache"))


def test_the_state_of_the_data_folder_is_shown(folder):
    """The report says whether the folder exists, how much it has, and whether it can be written."""
    assert debug(folder)[1]["state"] == "not there yet; it can be made"
    (folder / ".instrument").mkdir()
    (folder / ".instrument" / "host-1-2-3.sqlite").write_bytes(b"x" * 1234)

    _, lines, _ = debug(folder, INSTRUMENT="1")

    assert lines["state"] == "can be written"
    assert lines["files"] == "1, 1,234 bytes"
    assert lines["counting"].startswith("on in processes with this environment")


def test_each_target_gets_a_verdict_with_a_reason(folder):
    """Nothing is imported for it: importing the package would end the process."""
    targets = {
        "package.module": "measured: it is the project's own code",
        "package": "measured: it is the project's own code",
        "package/module.py": "measured: it is the project's own code",
        "json": "not measured: it is in the standard library",
        "sys": "not measured: it is built into the interpreter",
        "instrument.cli": "not measured: it is a part of instrument itself",
        "site-packages/other.py": "not measured: it is installed in a site-packages folder",
        "broken.py": "not measured: it cannot be compiled: invalid syntax",
        "package.inner": "not measured: it is a namespace package",
        "package.nothing": "not found: sys.path of a program in this folder has no module of this name",
        "nothing.py": f"not found: there is no file {folder}/nothing.py",
    }

    if sys.version_info >= (3, 15):  # a namespace package in a package is not found there yet
        del targets["package.inner"]

    status, lines, err = debug(folder, *targets)

    assert (status, err) == (1, "")
    for target, words in targets.items():
        assert lines[target].startswith(words), target
    assert lines["package.module"].endswith(f"({folder}/package/module.py, as package.module)")
    assert lines["package/module.py"] == lines["package.module"]


def test_items_of_the_scope_that_match_nothing_are_named(folder):
    """Standard error has a line for each, with the origin of the scope. Nothing is imported for it."""
    status, lines, err = debug(folder, "package", INSTRUMENT="packag,no/such/folder,package")

    assert status == 0
    assert lines["package"].startswith("measured: it is package (")
    assert err.splitlines() == [
        "instrument: 'packag' in the scope (INSTRUMENT) matches nothing: no module of this name is in the program's sys.path",
        f"instrument: '{folder}/no/such/folder' in the scope (INSTRUMENT) matches nothing: there is no such file or folder",
    ]


def test_modules_are_searched_in_the_working_directory(folder):
    """The folder of the script `instrument` does not count, because a program does not search there."""
    (folder / "scripts").mkdir()
    script = folder / "scripts" / "instrument"
    script.write_text("import sys\nfrom instrument.cli import main\nsys.exit(main())\n", encoding="utf-8")
    (folder / "scripts" / "beside.py").touch()
    (folder / "prog.py").touch()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INSTRUMENT_CACHE": str(folder / "cache")}

    def output_of(*options):
        command = [sys.executable, *options, str(script), "debug", "--scope", "prog", "prog", "prog.py", "beside"]
        finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
        return finished.stdout.split("measured:\n")[1].splitlines(), finished.stderr

    rows, err = output_of()
    for line, name in zip(rows, ("prog", "prog.py")):
        assert line.split(None, 1) == [name, f"measured: it is prog ({folder}/prog.py, as prog)"]
    assert "not found" in rows[2]
    assert err == ""

    rows, err = output_of("-P")  # the program would not find it either
    assert "not found" in rows[0]
    assert "'prog' in the scope (--scope) matches nothing" in err


def test_a_cache_that_cannot_be_used_is_named(folder):
    """The report names the reason, the consequence and the way out."""
    assert debug(folder)[1]["cache"] == f"{folder}/cache (not there yet)"
    (folder / "cache").mkdir(mode=0o777)
    (folder / "cache").chmod(0o777)
    cache = debug(folder)[1]["cache"]
    assert cache.startswith(f"{folder}/cache CANNOT BE USED: others can write to it")
    assert cache.endswith("each start rewrites all code again; name another folder with INSTRUMENT_CACHE")
    (folder / "file").touch()
    cache = debug(folder, INSTRUMENT_CACHE=str(folder / "file" / "cache"))[1]["cache"]
    assert cache.startswith(f"{folder}/file/cache CANNOT BE MADE: {folder}/file cannot be written")
    assert debug(folder, INSTRUMENT_CACHE="")[1]["cache"] == "turned off: each start rewrites all code again"


# Command lines ########################################################################################################

BOOTSTRAP = os.pathsep.join((str(ROOT / "instrument" / "bootstrap"), str(ROOT)))
ON = {"INSTRUMENT": "1", "PYTHONPATH": BOOTSTRAP}


def explained(folder, *command, options=(), **variables):
    """Run `instrument debug OPTIONS -- COMMAND`; return its status, the rows of process and main program, and errors."""
    status, rows, err = debug(folder, *options, "--", *command, **variables)
    return status, rows.get("process"), rows.get("main program"), err


@pytest.fixture
def programs(folder):
    """The same project, with programs of each kind."""
    for name in ("-dash.py", "prog.txt"):
        (folder / name).write_text("raise SystemExit('executed')\n", encoding="utf-8")
    (folder / "link").symlink_to(sys.executable)
    (folder / "prog.py").write_text("raise SystemExit('executed')\n", encoding="utf-8")
    (folder / "package" / "__main__.py").write_text("raise SystemExit('executed')\n", encoding="utf-8")
    scripts = {
        "tool": f"#!{sys.executable}\n",
        "isolated": f"#!{sys.executable} -I\n",
        "shell": "#!/bin/sh\nexec python\n",
        "off": f"#!/usr/bin/env -S INSTRUMENT=0 {sys.executable}\n",
        "wrapped": f"#!/bin/sh\n'''exec' '{sys.executable}' -I \"$0\" \"$@\"\n' '''\n",
        "no_interpreter": "#!/no/python\n",
        "embedding": "\x7fELF" + "x" * 10_000 + "Py_InitializeFromConfig" + "x" * 80,
        "frozen": "\x7fELF" + "x" * 10_000 + "MEI\014\013\012\013\016" + "x" * 80,
        "compiled": "\x7fELF" + "x" * 10_000,
    }
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    for name, inner in (("app.pyz", "__main__.py"), ("app.pex", "PEX-INFO")):
        with open(folder / name, "wb") as file:
            file.write(f"#!{sys.executable}\n".encode())
        with zipfile.ZipFile(folder / name, "a") as archive:
            archive.writestr(inner, "")
        (folder / name).chmod(0o755)
    return folder


OWN = "measured: it is the project's own code"


@pytest.mark.parametrize(
    ("command", "process", "main"),
    [
        (["PYTHON", "prog.py", "-S"], "counted", f"{OWN} ({{folder}}/prog.py, as __main__)"),
        (["PYTHON", "-W", "error", "-Xdev", "-uB", "prog.py"], "counted", OWN),
        (["PYTHON", "-m", "package", "-I"], "counted", f"{OWN} ({{folder}}/package/__main__.py, as package.__main__)"),
        (["PYTHON", "-Bmprog"], "counted", OWN),
        (["PYTHON", "app.pyz"], "counted", f"{OWN} ({{folder}}/app.pyz/__main__.py)"),
        (["./tool", "-S"], "counted", OWN),
        (["env", "A=1", "./tool"], "counted", OWN),
        (["PYTHON", "-c", "pass", "-S"], "counted", "not measured: it is given by -c, from no file"),
        (["PYTHON", "-"], "counted", "not measured: it is read from standard input, from no file"),
        (["PYTHON", "-x", "prog.py"], "counted", "not measured: its first line is skipped (-x)"),
        (["PYTHON", "-m", "json.tool"], "counted", "not measured: it is in the standard library"),
        (["PYTHON", "-m", "instrument", "run", "prog.py"], "counted", OWN),
        (
            ["PYTHON", "-m", "instrument", "run", "--", "-dash.py"],
            "counted",
            f"{OWN} ({{folder}}/-dash.py, as __main__)",
        ),
        (["PYTHON", "--", "-dash.py"], "counted", f"{OWN} ({{folder}}/-dash.py, as __main__)"),
        (["PYTHON", "prog.txt"], "counted", f"{OWN} ({{folder}}/prog.txt, as __main__)"),
        (["PYTHON", "/dev/null"], "counted", "not measured: it is no regular file"),
        (["nice", "-n", "5", "PYTHON", "prog.py"], "counted", OWN),
        (["sh", "-c", "exec 'PYTHON' prog.py"], "counted", OWN),
        (["./link", "prog.py"], "counted", OWN),
    ],
)
def test_commands_that_are_counted(programs, command, process, main):
    """The process is counted, and its main program gets a verdict of its own; nothing is executed."""
    command = [word.replace("PYTHON", sys.executable) for word in command]

    status, state, program, err = explained(programs, *command, **ON)

    assert (status, state, err) == (0, process, "")
    assert program.startswith(main.format(folder=programs))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["PYTHON", "-S", "prog.py"], "-S leaves out the site module"),
        (["PYTHON", "-Bc", "pass"], ""),
        (["PYTHON", "-uS", "-c", "pass"], "-S leaves out the site module"),
        (["PYTHON", "-I", "prog.py"], "with -I the interpreter ignores environment variables"),
        (["PYTHON", "-E", "-m", "package"], "with -E the interpreter ignores environment variables"),
        (["./isolated"], "with -I the interpreter ignores environment variables"),
        (
            ["INSTRUMENT=0", "PYTHON", "prog.py"],
            "INSTRUMENT is '0', which turns counting off; set INSTRUMENT=1, because everything else is ready",
        ),
        (["env", "-u", "INSTRUMENT", "PYTHON", "prog.py"], "INSTRUMENT is not set; set INSTRUMENT=1, because everything else is ready"),
        (["./off"], "INSTRUMENT is '0', which turns counting off"),
        (["./wrapped"], "with -I the interpreter ignores environment variables"),
        (["PYTHON", "app.pex"], "is a pex, which starts its interpreter without the environment's variables"),
        (["PYTHON", "-V"], "prints a text and runs no program"),
        (["PYTHON", "--help"], "prints a text and runs no program"),
        (["PYTHON", "-Z", "prog.py"], "has no option -Z, and runs no program"),
        (["PYTHON", "--check-hash-based-pycs=always", "prog.py"], "has no option --check-hash-based-pycs=always"),
        (["PYTHON", "-m", "instrument", "run", "sh", "x"], "`instrument run` does not start"),
        (["./no_interpreter"], "names '/no/python', and there is no such program"),
        (["./app.pex"], "is a pex, which starts its interpreter without the environment's variables"),
        (["./frozen"], "/frozen is frozen by PyInstaller, and executes no start-up file"),
        (["PYTHON", "-m", "instrument", "report"], "a command of instrument is never counted"),
    ],
)
def test_commands_that_are_not_counted(programs, command, words):
    """The status is 1, and the report names the reason."""
    command = [sys.executable if word == "PYTHON" else word for word in command]

    status, process, main, _ = explained(programs, *command, **ON)

    assert status == (1 if words else 0)
    assert words in process
    assert not words or not (main or "").startswith("measured")
    assert process.startswith("NOT COUNTED: ") == bool(words)
    no_start = any(reason in words for reason in ("a pex", "PyInstaller", "-I", "-E", "-S"))
    assert ("instrument.start()" in process) == no_start


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["./compiled"],
            "./compiled is a compiled program; a Python program that it starts is counted if INSTRUMENT",
        ),
        (["./embedding"], "./embedding is a compiled program with an interpreter inside it. It is counted if it"),
        (
            ["./shell"],
            "./shell is a script of another language; a Python program that it starts is counted if",
        ),
        (["sh", "-c", "cd / && PYTHON x.py"], "sh is a shell; a Python program that it starts is counted if"),
        (["./compiled", "-x", "PYTHON", "x y.py"], "ask about the Python that it starts: instrument debug -- PYTHON 'x y.py'"),
        (["env", "-C", "src", "PYTHON", "x.py"], "`env -C` changes to another folder; run `instrument debug` in that folder"),
        (["env", "-0", "PYTHON", "x.py"], "the option in `env -0` is not known to instrument; ask about the Python that it starts:"),
    ],
)
def test_commands_that_may_start_python_are_not_known(programs, command, words):
    """The status is 1. If a Python is among the words, the report names the question to ask instead."""
    command = [word.replace("PYTHON", sys.executable) for word in command]

    status, process, _, _ = explained(programs, *command, **ON)

    assert status == 1
    assert process.startswith("NOT KNOWN: ")
    assert words.replace("PYTHON", sys.executable) in process
    assert "INSTRUMENT is not set" not in process


def test_options_that_a_command_does_not_get_are_refused(programs):
    """The command writes to another folder than the option names; the message has the right form."""
    for options, setting in (
        (["--dir", "a b"], "'INSTRUMENT_DIR=a b'"),
        (["--scope", "x,y", "--scope", "z"], "INSTRUMENT=x,y,z"),
        (["--shared"], "INSTRUMENT_SHARED=1"),
    ):
        status, process, _, err = explained(programs, sys.executable, "prog.py", options=options, **ON)
        assert (status, process) == (2, None)
        assert f"the command does not get {options[0]}; say `instrument debug -- {setting} COMMAND …`" in err
    status, _, _, err = explained(programs, sys.executable, "prog.py", options=["x.py"], **ON)
    assert status == 2
    assert "x.py and the command after -- are two questions; ask them one by one" in err


def test_bytecode_is_judged_by_its_source(programs):
    """Code without a source runs under the name of the source that it was compiled from."""
    (programs / "inner").mkdir()
    py_compile.compile(str(programs / "prog.py"), str(programs / "inner" / "__main__.pyc"))
    status, process, main, _ = explained(programs, sys.executable, "inner", **ON)
    assert (status, process) == (0, "counted")
    assert main == f"{OWN} ({programs}/inner/__main__.pyc, compiled from {programs}/prog.py)"
    (programs / "inner" / "__main__.pyc").write_bytes(b"x" * 100)
    assert "it is bytecode that this Python cannot read" in explained(programs, sys.executable, "inner", **ON)[2]


def test_a_missing_start_up_file_is_named(programs, tmp_path_factory):
    """INSTRUMENT has no effect then, and `instrument run` still works."""
    python = tmp_path_factory.mktemp("environment") / "bin" / "python"
    venv.create(python.parents[1], with_pip=False, symlinks=True)

    assert explained(programs, str(python), "prog.py", INSTRUMENT="1")[1].endswith(
        f"there is no start-up file for {python}; install the package, or use `instrument run`"
    )
    assert explained(programs, str(python), "-m", "instrument", "run", "prog.py")[1] == "counted"
    assert (
        f"instrument is not installed for {python}"
        in explained(programs, f"PYTHONPATH={programs}", str(python), "x")[1]
    )


def test_the_scope_of_a_command_is_searched_beside_its_script(programs):
    """The folder of the script is the first that the program searches."""
    (programs / "src").mkdir()
    (programs / "src" / "shop.py").touch()
    (programs / "src" / "main.py").touch()

    status, process, main, err = explained(programs, "INSTRUMENT=shop,main,prog", sys.executable, "src/main.py", **ON)

    assert (status, process) == (0, "counted")
    assert main == f"measured: it is main ({programs}/src/main.py, as __main__)"
    assert err.count("matches nothing") == 1
    assert "'prog' in the scope" in err
    assert explained(programs, sys.executable, "-m", "instrument", "run", "--scope", "x.y", "prog.py")[2].startswith(
        "not measured: it is in none of x.y"
    )


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], "there is no command after --"),
        (["no_such_command"], "there is no command 'no_such_command'"),
        ([sys.executable, "-m"], "-m needs a word after it"),
    ],
)
def test_words_that_are_no_command_are_named(programs, command, words):
    """One line names the mistake, and the status is 1."""
    status, process, _, err = explained(programs, *command, **ON)

    assert (status, process) == (1, None)
    assert err.startswith(f"instrument: {words}")


def test_a_missing_program_is_named(programs):
    """The status is 1."""
    for words in (["nothing.py"], ["-m", "nothing"]):
        status, _, main, _ = explained(programs, sys.executable, *words, **ON)
        assert status == 1
        assert main.startswith("not found: there is no ")


def test_mistakes_in_settings_are_named(folder):
    """One line names the mistake, and the status is 1."""
    assert debug(folder, INSTRUMENT_FLUSH="x")[0::2] == (
        1,
        "instrument: INSTRUMENT_FLUSH is 'x'; it must be a number of seconds, or 0 to save only at the end\n",
    )


def test_counts_that_would_not_be_saved_are_not_promised(programs):
    """The data folder is a file, lies below a file, or others can write to it."""
    (programs / "file").touch()
    (programs / "open").mkdir()
    (programs / "open").chmod(0o777)
    for name, words in (
        ("file", f"{programs}/file is no folder"),
        ("file/inner", f"{programs}/file is no folder"),
        ("open", "others can write to it (INSTRUMENT_SHARED=1 allows that)"),
    ):
        status, process, _, _ = explained(programs, sys.executable, "prog.py", INSTRUMENT_DIR=name, **ON)
        assert (status, process) == (
            1,
            f"counted, but COUNTS ARE NOT SAVED: {words}; name another folder with --dir or INSTRUMENT_DIR",
        )
        state = debug(programs, INSTRUMENT_DIR=name)[1]["state"]
        assert state.startswith(f"CANNOT BE USED, counts are not saved: {words}")
    assert explained(programs, sys.executable, "prog.py", INSTRUMENT_DIR="open", INSTRUMENT_SHARED="1", **ON)[0] == 0
    assert (
        explained(programs, sys.executable, "prog.py", INSTRUMENT_DIR="open/new", INSTRUMENT_SHARED="1", **ON)[0] == 0
    )


def test_folders_and_files_in_place_of_names_get_an_answer(programs):
    """A folder stands for its package. For a file in place of a command the message has the right form."""
    assert debug(programs, "package/")[1]["package/"].startswith(OWN)
    status, lines, _ = debug(programs, ".")
    assert (status, lines["."]) == (1, f"not found: {programs} is a folder; name a file or a module in it")
    err = explained(programs, "prog.py", **ON)[3]
    assert "for a file here, say `python prog.py`" in err
    err = explained(programs, os.path.basename(sys.executable), "x", PATH="/nowhere")[3]
    assert f"there is {sys.executable}, which `instrument run" in err
