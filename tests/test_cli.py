"""Tests of the command line: `python -m instrument` equals `python -m trace` in output, messages, statuses and files."""

import importlib
import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys

import processes
import pytest

from instrument import cli

ROOT = pathlib.Path(__file__).parents[1]

PROGRAM = """\
import sys
import helper

def main(words):
    for word in words:
        print(helper.shout(word))

print(sys.argv, repr(sys.path[0]), __name__)
print([name for name in globals() if name != "__builtins__"], __file__, __package__)
main(sys.argv[1:])
"""

HELPER = """\
def shout(word):
    if word == "never":
        return None
    return word.upper() + "!"

class Speaker:
    def speak(self):
        return [shout(word) for word in ("x", "never")]

print(Speaker().speak())
"""

FILES = {
    "program.py": PROGRAM,
    "helper.py": HELPER,
    "exits.py": "import sys\nprint('exits')\nsys.exit(3)\n",
    "fails.py": "def f():\n    raise KeyError(1)\ntry:\n    f()\nexcept KeyError:\n    1 / 0\n",
    "opens.py": "print('opens')\nopen('no such file')\n",
    "broken.py": "print('unreachable')\nx = = 1\n",
    "annotated.py": "def f(\n    x: print('annotated'),\n): pass\nprint(f.__annotations__)\n",
    "folder/inner.py": "import sys\nprint(repr(sys.path[0]), sys.argv, __file__)\n",
    "package/__init__.py": "x = 1\n",
    "package/__main__.py": "print(__name__, __package__, __spec__.name)\nprint(list(globals()))\n",
    "foreign": "no counts\n",
    "empty": "",
}


def run(tool, folder, arguments, **environment):
    """Run `python -m TOOL ARGUMENTS` in *folder*; return the finished process."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", **environment}
    command = [sys.executable, "-m", tool, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)


def without_tool_folder(text):
    """Return *text* without the folder of `trace.py`, the module that runs the program in both tools."""
    return re.sub(r"[^\s']*[/\\]trace\.py", "trace.py", text)


def files_of(folder):
    """Return a dict from the names of all files in *folder* to their contents; counts files are decoded.

    Keys of the frozen import system are left out: `instrument` never rewrites it, so it has no counts.
    """
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "counts":
                parts = [sorted(map(repr, part.items())) for part in pickle.loads(content)]
                content = [[without_tool_folder(item) for item in part if "<frozen" not in item] for part in parts]
            contents[str(path.relative_to(folder))] = content
    return contents


def without_tool_words(text):
    """Return *text* without the usage, the name of the tool, and the frames above the program in a traceback."""
    text = re.sub(r"usage: .*?(?=^\S+.*: error: )", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^.*: error: ", "error: ", text, flags=re.MULTILINE)
    frame = r'  File "(?:<frozen runpy>|[^"\n]*(?:trace|cli|runpy|__main__)\.py)".*\n(?:    .*\n)*'
    return re.sub(rf"(?<=Traceback \(most recent call last\):\n)(?:{frame})+", "", text)


def both(tmp_path, *commands, **environment):
    """Run *commands* with each tool, in equal folders; return for each tool a list of outcomes, and its files."""
    outcomes = []
    folder = tmp_path / "work"
    for tool in ("trace", "instrument"):
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        shown = []
        for command in commands:
            finished = run(tool, folder, command.split(), **environment)
            shown.append((finished.returncode, without_tool_folder(finished.stdout), without_tool_words(finished.stderr)))
        outcomes.append((shown, files_of(folder)))
    return outcomes


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "-c",
        "-l -T",
        "-lc",
        "-lt program.py",
        "-rR",
        "-rR -f counts",
        "-g",
        "-r",
        "-sT",
        "-sT program.py",
        "-y",
        "-c -y program.py",
        "program.py",
        "-m program.py",
        "-R -f counts program.py",
        "--co",
        "--ignore- x -c program.py",
        "-c --ignore-module",
        "-C",
    ],
)
def test_mistakes_have_the_messages_of_trace(tmp_path, arguments):
    """Wrong options give status 2 and the message of `trace`; no program runs, and no file is written."""
    (theirs, _), (ours, files) = both(tmp_path, arguments)

    assert ours == theirs
    assert ours[0][0] == 2
    assert files.keys() == FILES.keys()


@pytest.mark.parametrize(
    "commands",
    [
        "-c program.py a never b",
        "-c -m -s program.py a never b",
        "-cms -C cover program.py a",
        "--cou --miss --summ --cover cover program.py --cover -x",
        "-cs -C new/cover program.py",
        "-c --ignore-module helper program.py a",
        "-c --ignore-module=other, --ignore-module=program,helper program.py a",
        "-c --ignore-dir . program.py a",
        "-c --ignore-dir $HERE program.py a",
        "-c --ignore-dir $prefix:$exec_prefix program.py a",
        "-l helper.py a b",
        "-lT helper.py a b",
        "-cT helper.py a b",
        "-l -f counts helper.py a b; -rf counts",
        "-t helper.py a b",
        "-ct --ignore-module=other helper.py a",
        "-t --ignore-module=helper helper.py a",
        "-c -f counts program.py a; -c -f counts program.py b; -r -f counts -ms -C cover",
        "-c -R -f counts program.py a",
        "-T -f counts helper.py a; -r -f counts",
        "-r -f counts; -r -f counts",
        "-r -f empty",
        "-r -f folder",
        "-c -f folder program.py",
        "-c -f no/such/folder program.py",
        "-c folder/inner.py a",
        "-c --module package a b",
        "-c --module program a b",
        "-c --module package.no_such_module",
        "-c --module no_such_module_zzz",
        "-c -f counts exits.py",
        "-l exits.py",
        "-c -f counts fails.py",
        "-c opens.py",
        "-c broken.py",
        "-c no_such_program.py",
        "-c annotated.py",
    ],
)
def test_command_lines_have_the_effects_of_trace(tmp_path, commands):
    """Standard output, standard error, statuses and all files equal those of `trace`."""
    (theirs, their_files), (ours, our_files) = both(tmp_path, *commands.split("; "), HERE="folder")

    assert ours == theirs
    assert our_files.keys() == their_files.keys()
    assert our_files == their_files


@pytest.mark.parametrize("option", ["-l", "-T"])
def test_imports_are_listed_as_by_trace(tmp_path, option):
    """Functions of importlib that import modules of the program are listed; functions of this package are not."""
    (theirs, _), (ours, _) = both(tmp_path, f"{option} program.py a b")
    [(their_status, their_lists, their_errors)] = theirs
    [(status, lists, errors)] = ours

    assert "exec_module" in their_lists
    # Files are listed in the order of their paths, and those of the two tools differ.
    assert sorted(lists.split("\n\n")) == sorted(their_lists.split("\n\n"))
    assert (status, errors) == (their_status, their_errors)


@pytest.mark.parametrize("command", ["-r -f foreign", "-c -f foreign program.py a", "-c -R -f foreign program.py a"])
def test_a_foreign_counts_file_is_left_as_it_is(tmp_path, command):
    """`trace` fails with a traceback or overwrites the file; here a message names it, and the status is 1."""
    _theirs, (ours, files) = both(tmp_path, command)
    [(status, out, err)] = ours

    assert status == 1
    assert files["foreign"] == b"no counts\n"
    assert err.startswith("Skipping counts file 'foreign': it is no counts file")
    assert "Traceback" not in err
    assert ("A!" in out) == ("program.py" in command)


def test_a_file_in_place_of_the_folder_of_listings_is_named(tmp_path):
    """Each listing gives a message, as in `trace` up to 3.12; counts are saved."""
    _theirs, (ours, files) = both(tmp_path, "-c -C helper.py -f counts exits.py")
    [(status, out, err)] = ours

    assert (status, out) == (0, "exits\n")
    assert "trace: Could not open" in err
    assert "Traceback" not in err
    assert "(('exits.py', 3), 1)" in files["counts"][0]


def test_a_removed_source_does_not_lose_the_report(tmp_path):
    """If a program removes a source, the others have listings, and the counts are saved."""
    (tmp_path / "gone.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "removes.py").write_text("import os, gone\nos.remove('gone.py')\n", encoding="utf-8")
    finished = run("instrument", tmp_path, ["-c", "-f", "counts", "removes.py"])

    assert finished.returncode == 0
    assert "Not printing coverage data for" in finished.stderr
    assert "gone.py" in finished.stderr
    assert sorted(files_of(tmp_path)) == ["counts", "removes.cover", "removes.py"]


def test_the_version_is_printed(tmp_path):
    """`--version` prints the name and the version of the package."""
    finished = run("instrument", tmp_path, ["--version"])

    assert re.fullmatch(r"instrument \d+\.\d+\S*\n", finished.stdout)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("reprot", "there is no command 'reprot'; did you mean 'report'? `instrument help` lists the commands"),
        ("Top", "there is no command 'Top'; did you mean 'top'?"),
        ("pages", "there is no command 'pages'. `instrument help` lists the commands"),
        ("helpp", "did you mean 'help'?"),
        ("help reprot", "there is no command 'reprot'; did you mean 'report'?"),
    ],
)
def test_unknown_commands_are_named(tmp_path, word, words):
    """The message names the nearest command. A file of that name is a program, as for `trace`."""
    finished = run("instrument", tmp_path, word.split())

    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.startswith("instrument: ")
    assert finished.stderr.count("\n") == 1
    assert words in finished.stderr
    (tmp_path / word).touch()
    if " " not in word:
        assert "must specify one of" in run("instrument", tmp_path, [word]).stderr


def test_the_commands_are_listed(tmp_path):
    """`help` and the command without arguments print the same list."""
    (tmp_path / "instrument").write_text("from instrument.cli import main\nmain()\n", encoding="utf-8")
    helped = run("instrument", tmp_path, ["help"])
    command = [sys.executable, "instrument"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    alone = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)

    assert (helped.returncode, helped.stderr) == (alone.returncode, alone.stderr) == (0, "")
    assert helped.stdout == alone.stdout
    (tmp_path / "instrument").unlink()
    for name in (*cli.COMMANDS, *cli.ABOUT):
        assert f"\n  {name} " in helped.stdout
    assert run("instrument", tmp_path, ["version"]).stdout == run("instrument", tmp_path, ["--version"]).stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_has_a_help_for_users(name, capsys, monkeypatch):
    """It has an example, and no word that only developers of this package know."""
    statuses, texts = [], []
    for words in (["help", name], [name, "--help"]):
        monkeypatch.setattr(sys, "argv", ["instrument", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        statuses.append(ended.value.code)
        texts.append(capsys.readouterr())

    [helped, own] = texts
    assert (statuses, helped.err, own.err) == ([0, 0], "", "")
    assert helped.out == own.out
    assert f"\n  instrument {name}" in helped.out.partition("example")[2]
    for word in (" come in", "comes in", "goes out", "go out", " us ", " we ", " ours"):
        assert word not in helped.out, word


def test_the_help_has_the_options_of_trace(tmp_path):
    """`--help` has the options and groups of `trace`, and no others."""
    theirs, ours = (run(tool, tmp_path, ["--help"], NO_COLOR="1").stdout for tool in ("trace", "instrument"))
    options = r"(?m)^  (-.*?)(?:  |$)|^(\w.*):$"

    assert [found for found in re.findall(options, ours) if found[1] != "examples"] == re.findall(options, theirs)


# These modules search sorted tables.
KNOWN_MODULES = {"_bisect", "array"}


def test_the_program_finds_the_modules_that_it_finds_under_trace(tmp_path):
    """Before the program starts, no other module of the standard library is imported than by `trace`, except a few."""
    (tmp_path / "modules.py").write_text("import sys\nprint(*sys.modules)\n", encoding="utf-8")
    theirs, ours = (run(tool, tmp_path, ["-l", "-R", "modules.py"]).stdout.split() for tool in ("trace", "instrument"))

    assert {name for name in set(ours) - set(theirs) if name.partition(".")[0] != "instrument"} <= KNOWN_MODULES


def test_reports_take_folder_and_patterns_from_the_project_file(tmp_path):
    """In a folder below the file, `report` finds the data beside it and applies its patterns."""
    (tmp_path / "pyproject.toml").write_text('[tool.instrument]\nomit = ["b.py"]\n', encoding="utf-8")
    inner = tmp_path / "inner"
    inner.mkdir()
    lines = {(str(tmp_path / name), "sha256:" + "0" * 64): {1: 3} for name in ("a.py", "b.py", "c.py")}
    processes.write(tmp_path / ".instrument", "one", lines)

    def reported(*options):
        finished = run("instrument", inner, ["report", "--json", *options], INSTRUMENT_DIR="")
        assert finished.returncode == 0, finished.stderr
        return [os.path.basename(file["path"]) for file in json.loads(finished.stdout)["files"]]

    assert reported() == ["a.py", "c.py"]
    assert reported("--omit", "*/c.py") == ["a.py", "b.py"]

    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nomit = 3\n", encoding="utf-8")
    finished = run("instrument", inner, ["report"], INSTRUMENT_DIR="")
    assert finished.returncode == 1
    assert "key 'omit' is a number" in finished.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_in_place_of_a_counts_file_is_named(tmp_path):
    """Reading from it or writing to it would block forever; the run itself is reported."""
    (tmp_path / "program.py").write_text("x = 1\n", encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")

    for arguments in (["-r", "-f", "pipe"], ["-c", "-f", "pipe", "-C", "covers", "program.py"]):
        finished = run("instrument", tmp_path, arguments)
        assert (finished.returncode, finished.stdout) == (1, "")
        assert finished.stderr.splitlines() == [
            "Skipping counts file 'pipe': it is a pipe, which would be waited for; name a regular file",
            "Can't save counts files because 'pipe' could not be read, and is left as it is",
        ]
    assert (tmp_path / "covers" / "program.cover").exists()


def test_a_program_in_place_of_a_command_gets_a_hint(tmp_path):
    """The installed command prints it; `python -m instrument` prints only the message of `trace`."""
    program = tmp_path / "program.py"
    program.write_text("x = 1\n", encoding="utf-8")
    script = tmp_path / "instrument-script"
    script.write_text("from instrument.cli import main\nmain()\n", encoding="utf-8")
    hint = f"To run it and save its counts: instrument run {program}\n"

    for command, is_said in ((["-m", "instrument"], False), ([str(script)], True)):
        for options, hinted in (([], is_said), (["-m"], False)):
            finished = subprocess.run(
                [sys.executable, *command, *options, str(program)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=100,
            )
            assert finished.returncode == 2
            assert (hint in finished.stderr) == hinted
            assert "must specify one of --trace, --count" in finished.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["help"], ["help", "report"], ["version"], ["report"], ["report", "--json"]])
def test_output_that_cannot_be_written_gives_one_line(tmp_path, arguments, unbuffered):
    """On a full disk there is no traceback, with and without a buffer."""
    processes.write(tmp_path / ".instrument", "one", {processes.A: {1: 1}})
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "instrument", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert "instrument: the output cannot be written: No space left on device" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", [["help", "report"], ["report", "--nonsense"], ["help"]])
def test_help_is_printed_in_any_encoding(tmp_path, arguments):
    """Characters that the encoding of the output lacks are escaped."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "instrument", *arguments], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == (2 if "--nonsense" in arguments else 0)
    assert b"usage: instrument" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    assert (b"PATTERN,\\u2026" in done.stdout + done.stderr) == ("report" in arguments)


def test_an_interrupt_of_a_command_is_no_traceback(monkeypatch):
    """Also while the module of the command is imported, which takes most of the start."""

    def interrupted(name):
        assert name == "instrument.commands.gating.keep"
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    monkeypatch.setattr(sys, "argv", ["instrument", "keep"])
    with pytest.raises(SystemExit) as error:
        cli.main()
    assert error.value.code == 130
