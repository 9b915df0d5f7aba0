"""Reports on odd data: refused files, annotations, excluded lines, and files that were never imported."""

import argparse
import importlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import A, Running, files, process, write
from recorded import Tree

from instrument.analysis.source_file import SourceFile, version_of
from instrument.data import schema
from instrument.data.process_identity import KernelIdentity
from instrument.data.writer import Writer
from instrument.errors import ConfigError, DataError
from instrument.report.text import columns, percentage

ROOT = Path(__file__).parents[2]

UNRELATED = "it is no data file of instrument"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("INSTRUMENT") and name != "INSTRUMENT_CACHE"]:
        monkeypatch.delenv(name)


def run(command, *arguments):
    """Run *command* as the command line does, and return its exit status."""
    room = importlib.import_module(f"instrument.commands.{command}")
    parser = argparse.ArgumentParser()
    room.add_arguments(parser)
    return room.execute(parser.parse_args([str(argument) for argument in arguments]))


def table_rows(output):
    """Return the rows of the table in *output*, each as a list of words."""
    lines = output.splitlines()
    rules = [n for n, line in enumerate(lines) if line.startswith("---")]
    return [line.split() for line in lines[rules[0] + 1 : rules[1]]]


def measured(name, source, counts, functions=()):
    """Write *source* to the file *name*, and data that it ran with *counts*; return path and version."""
    path = Path(name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    key = str(path), version_of(source.encode())
    write(".instrument", name.replace("/", "_"), {key: counts}, functions=[(key, dict(functions))])
    return key


def damage():
    """Put unreadable files beside the data; return their names with the reasons."""
    [good] = [name for name in files(".instrument") if name.endswith(".sqlite")]
    data = Path(".instrument", good).read_bytes()
    Path(".instrument/cut.sqlite").write_bytes(data[:5000])
    Path(".instrument/empty.sqlite").write_bytes(b"")
    Path(".instrument/foreign.sqlite").write_bytes(b"something else")
    Path(".instrument/page.sqlite").write_bytes(data[:4096] + b"\xff" * 4096 + data[8192:])
    Path(".instrument/reserved.sqlite").write_bytes(data[:20] + b"\xf0" + data[21:])
    return {
        "cut": f"it is damaged: it has 5000 bytes, not {len(data)}",
        "empty": "it is empty",
        "foreign": UNRELATED,
        "page": "it is damaged: ",
        "reserved": "it is damaged: ",
    }


# Data that is left out


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["report", "--missing"],
        ["report", "--unused-for", "1d"],
        ["report", "--json"],
        ["annotate"],
        ["combine", "--keep"],
        ["diff", ".instrument", ".instrument"],
    ],
)
def test_data_that_is_left_out_is_named(command, capsys):
    """Each command names each unreadable data file, with the reason, on one line of standard error."""
    measured("m.py", "x = 1\n", {1: 1})
    reasons = damage()
    assert run(*command) == 0
    errors = capsys.readouterr().err.splitlines()

    for name, reason in reasons.items():
        [line] = {line for line in errors if f"'.instrument/{name}.sqlite'" in line}
        assert line.startswith(f"Skipping data file '.instrument/{name}.sqlite': {reason}")
        assert "copy.sqlite" not in line
    if command[0] != "diff":
        assert "5 data files left out: these counts are incomplete" in errors


@pytest.mark.parametrize("command", [["report", "--json"], ["diff", "--json", ".instrument", ".instrument"]])
def test_json_lists_data_that_is_left_out(command, capsys):
    """The JSON document has the refused files, too."""
    measured("m.py", "x = 1\n", {1: 1})
    reasons = damage()
    run(*command)
    skipped = json.loads(capsys.readouterr().out)["skipped"]

    assert {os.path.basename(each["path"]) for each in skipped} == {f"{name}.sqlite" for name in reasons}
    assert all(each["reason"].startswith(reasons[os.path.basename(each["path"])[:-7]]) for each in skipped)
    assert "copy.sqlite" not in json.dumps(skipped)


@pytest.mark.parametrize("command", [["report"], ["report", "--json"], ["annotate"], ["combine"]])
def test_unreadable_data_alone_is_an_error(command):
    """If all data is refused, the message gives the reasons, and the exit status is that of an error."""
    Path(".instrument").mkdir()
    Path(".instrument/foreign.sqlite").write_text("something else")
    with pytest.raises(
        DataError,
        match=f"no data that can be read in '.instrument'; '.instrument/foreign.sqlite' was skipped: {UNRELATED}",
    ):
        run(*command)
    with pytest.raises(DataError, match="no data in 'nowhere'; 'nowhere' was skipped: No such file"):
        run(*command, "nowhere")


def test_data_that_is_left_out_is_named_even_if_no_file_is_left(capsys):
    """Patterns that match no file do not hide refused data files."""
    measured("m.py", "x = 1\n", {1: 1})
    damage()
    with pytest.raises(DataError, match="nothing is left to report"):
        run("report", "--include", "other.py")
    assert "cut.sqlite" in capsys.readouterr().err


def test_a_diff_of_nothing_is_an_error(capsys):
    """If no file can be compared, the exit status is 1, and the output does not say that nothing ran."""
    write("a", "one", {A: {1: 5}})
    write("b", "one", {(A[0], "sha256:other"): {1: 6}})
    assert run("diff", "a", "b") == 1
    output = capsys.readouterr()
    assert output.out == "Nothing can be compared.\n"
    assert output.err.count("Not compared: '/src/a.py'") == 2
    assert run("diff", "a", "b", "--json") == 1

    write("same", "one", {A: {1: 5}})
    capsys.readouterr()
    assert run("diff", "a", "same") == 0
    assert capsys.readouterr().out == "Nothing ran.\n"
    with pytest.raises(DataError, match="nothing is left to compare"):
        run("diff", "a", "same", "--omit", "*")


# Annotations

ANNOTATED = """\
class Point:
    x: int
    y: "int"

    def move(
        self,
        dx: int,
        dy: float,
    ) -> None:
        self.x += dx


unit: int = 1


def unused(
    first: int,
    second: str,
) -> list[int]:
    return [first]


p = Point()
"""


def test_annotations_are_never_missing(capsys):
    """Code that runs only if the program requests annotations is neither a function nor a missing line."""
    source = ANNOTATED
    eager = {2: 1, 3: 1, 7: 1, 8: 1, 9: 1, 17: 1, 18: 1, 19: 1} if sys.version_info < (3, 14) else {}
    measured("m.py", source, {1: 1, 5: 1, 13: 1, 16: 1, 23: 1} | eager, {("Point", 1): (1, 1e9, 1e9)})
    run("report", "--missing")
    assert capsys.readouterr().out.splitlines()[2].endswith("  10, 20")
    run("report", "--unused-for", "1d")
    output = capsys.readouterr().out
    assert "__annotate__" not in output
    assert [line.split("  last")[0].strip() for line in output.splitlines() if "(line" in line] == [
        "class Point (line 1)",
        "function Point.move (line 5)  never",
        "function unused (line 16)  never",
    ]
    run("annotate")
    listing = Path("m.cover").read_text().splitlines()
    assert [n for n, line in enumerate(listing, 1) if line.startswith(">>>>>>")] == [10, 20]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations ran with their functions before")
def test_annotations_that_ran_are_no_function(capsys):
    """Their calls are in JSON with their kind, and they are never listed as unused."""
    functions = {("Point.__annotate__", 5): (1, 1e9, 1e9), ("Point.move.__annotate__", 5): (1, 1e9, 1e9)}
    measured("m.py", ANNOTATED, {1: 1, 5: 1, 7: 1, 13: 1, 16: 1, 23: 1}, functions)
    run("report", "--unused-for", "1d")
    assert "__annotate__" not in capsys.readouterr().out
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["lines"]["7"]["count"] == 1
    assert file["missing"] == [10, 20]
    assert {function["kind"] for function in file["functions"] if function["calls"]} == {"annotations"}


def test_a_function_called_annotate_is_a_function():
    """Only code that the compiler made of annotations has the kind of annotations."""
    Path("m.py").write_text("x: int\ndef __annotate__(format):\n    return 1\n")
    source = SourceFile("m.py", None)
    assert source.kinds["__annotate__", 2] == "function"
    assert source.functions() == {("__annotate__", 2): {3}}
    assert 3 in source.executable - source.annotations


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no type parameters before 3.12")
def test_type_parameters_and_aliases_are_no_functions():
    """Values of aliases and bounds run on request only; scopes of type parameters run with their `def`."""
    Path("m.py").write_text(
        "type Pair[T] = tuple[\n    T,\n    T,\n]\n"
        "def f[\n    T: (\n        int,\n        str,\n    ),\n](x: T) -> T:\n    return x\n"
        "class C[T]:\n    pass\n"
    )
    source = SourceFile("m.py", None)
    assert [name for name, _line in source.functions()] == ["f"]
    assert {2, 3} <= source.annotations
    assert {7, 8} <= source.annotations
    assert {1, 5, 11, 12} <= source.executable - source.annotations
    assert {kind for (name, _line), kind in source.kinds.items() if "generic" in name} == {"type parameters"}


# Excluded lines

EXCLUDED = """\
import functools


def f(debug):
    if debug:  # pragma: no cover
        x = 1
        for y in range(3):
            x += y
    else:
        x = 2
    try:
        x += 1
    except ValueError:  # pragma: no cover
        x = 3
    return x


@functools.lru_cache
def g(
    a,  # pragma:nocover
    b=2,
):
    return a


@functools.lru_cache  # PRAGMA NO COVER: by hand
@functools.wraps(f)
def h():
    return 3


class C:  # pragma: no cover
    def m(self):
        return 1


big = (
    1,
    f(0),
)  # pragma: no cover
text = "# pragma: no cover"
if text:  #pragma NO COVER
    text = 1
"""


def test_lines_that_a_comment_excludes_are_never_missing(capsys):
    """`# pragma: no cover` excludes the lines that coverage.py excludes; the form of `trace` excludes its own line."""
    counts = dict.fromkeys((1, 4, 5, 10, 11, 12, 15, 41), 1)
    measured("m.py", EXCLUDED, counts | {6: 5})
    run("report", "--missing")
    row = capsys.readouterr().out.splitlines()[2]
    assert row.endswith("  43")
    source = SourceFile("m.py", None)
    excluded = {5, 6, 7, 8, 13, 14, *range(18, 24), *range(26, 30), *range(32, 35), *range(37, 41), 42}
    assert source.excluded == excluded
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["lines"]["6"]["count"] == 5
    assert file["missing"] == [43]
    assert set(file["excluded"]) == excluded & source.executable
    assert file["executable"] == len(source.executable - excluded)
    run("report", "--unused-for", "1d")
    output = capsys.readouterr().out
    assert not [line for line in output.splitlines() if "never" in line and "(line" in line]
    run("annotate")
    listing = Path("m.cover").read_text().splitlines()
    assert [n for n, line in enumerate(listing, 1) if line.startswith(">>>>>>")] == [43]
    assert listing[5] == "    5:         x = 1"


# Files that were never imported

NEVER = "def f():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 2\n"


def scoped(name, sources, scope, *, directory=None, started=None, pid=None, parent=None, root=0, ticks=None):
    """Write the data of a process with this *scope*, one item a line, in which the first line of each file ran once."""
    info = process(name)
    info.scope, info.cwd = scope, str(directory or Path.cwd())
    info.started = info.started if started is None else started
    info.pid, info.parent, info.root = pid or info.pid, parent or info.parent, root
    lines = []
    for source in sources:
        path = Path(source).absolute()
        lines.append(((str(path), version_of(path.read_bytes())), {1: (1, 1e9, 1e9)}))
    writer = Writer(".instrument", info)
    writer.write(lines, [], {}, "exit")
    if ticks is not None:
        connection = sqlite3.connect(writer.path)
        with connection:
            connection.execute("UPDATE process SET ticks = ?", (ticks,))
        connection.close()


@pytest.fixture
def project(tmp_path):
    """A project with modules, tests, and folders that are not part of it."""
    for name in (
        "main.py",
        "src/pkg/__init__.py",
        "src/pkg/used.py",
        "src/pkg/never.py",
        "src/pkg/build/__init__.py",
        "src/pkg/build/never.py",
        "src/other.py",
        "tests/test_pkg.py",
        "build/lib/pkg/never.py",
        ".hidden/x.py",
        "venv/lib/x.py",
        "node_modules/x/x.py",
        "lib/site-packages/x.py",
        "docs/notes.txt",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NEVER)
    Path("src/pkg/__init__.py").write_text('"""Of no code."""\n')
    Path("src/pkg/build/__init__.py").write_text("")
    Path("venv/pyvenv.cfg").write_text("")
    Path("docs/broken.py").write_text("def (\n")
    os.symlink(tmp_path / "src", "link")
    return tmp_path


def never_imported(capsys, *arguments):
    """Return the files that a report shows as never imported, and its standard error."""
    run("report", *arguments)
    output = capsys.readouterr()
    rows = [line for line in output.out.splitlines() if "never imported" in line]
    assert all(row.split()[4] == "0" and row.split()[3] == "0%" for row in rows)
    return [row.split()[0] for row in rows], output.err


def test_files_that_were_never_imported_are_shown_at_zero(project, capsys):
    """They are the files in the folder where the program was started, without those of other projects."""
    scoped("one", ["main.py", "src/pkg/used.py"], "")
    expected = ["src/other.py", "src/pkg/build/never.py", "src/pkg/never.py", "tests/test_pkg.py"]
    found, errors = never_imported(capsys)
    assert found == expected
    assert f"Left out: 1 file never imported that this Python cannot compile: '{project}/docs/broken.py'" in errors
    assert never_imported(capsys, "--omit", "tests,src/pkg/build")[0] == ["src/other.py", "src/pkg/never.py"]
    assert never_imported(capsys, "--only-imported") == ([], "")

    run("report", "--missing", "--include", "src/other.py")
    assert capsys.readouterr().out.splitlines()[2].split() == [
        *("src/other.py", "5", "5", "0%", "0", "never", "imported", "1-7"),
    ]
    run("report", "--unused-for", "30d", "--include", "src/other.py")
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "src/other.py (never imported)",
        "    module level  never",
        "    function f (line 1)  never",
        "    function C.m (line 6)  never",
        "    lines 1-7  never",
    ]
    run("report", "--json", "--include", "src/other.py", "--unused-for", "30d")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["imported"], file["hits"], file["missing"]) == (False, 0, [1, 2, 5, 6, 7])
    assert file["version"] == version_of(NEVER.encode())
    assert [function["name"] for function in file["unused"]["functions"]] == ["<module>", "f", "C.m"]
    run("annotate", "-d", "covers")
    names = ["src.other", "src.pkg.build.never", "src.pkg.never", "src.pkg.used", "tests.test_pkg"]
    assert files("covers") == ["main.cover", *(f"{name}.cover" for name in names)]
    assert Path("covers/src.other.cover").read_text().startswith(">>>>>> def f():\n>>>>>>     return 1\n")
    run("annotate", "-d", "imported", "--only-imported")
    assert files("imported") == ["main.cover", "src.pkg.used.cover"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("{0}/src/pkg", ["src/pkg/build/never.py", "src/pkg/never.py"]),
        ("pkg", ["src/pkg/build/never.py", "src/pkg/never.py"]),
        ("pkg.used", []),
        ("other", ["src/other.py"]),
        ("pkg.used\n{0}/tests/test_pkg.py", ["tests/test_pkg.py"]),
        ("pkg.used\n1", ["src/other.py", "src/pkg/build/never.py", "src/pkg/never.py", "tests/test_pkg.py"]),
        (None, []),
    ],
)
def test_only_files_in_the_scope_of_a_process_are_shown_at_zero(scope, expected, project, capsys):
    """A file outside of the scope is not missing."""
    scoped("one", ["src/pkg/used.py"], scope and scope.format(project))
    found, errors = never_imported(capsys, "--omit", "main.py")
    assert found == expected
    assert ("earlier versions" in errors) == (scope is None)


def test_own_code_is_not_looked_for_where_none_of_it_ran(project, capsys, tmp_path):
    """A program that was started elsewhere shows its package, and not the files of the folder where it was started."""
    elsewhere = project / "docs"
    scoped("one", ["src/pkg/used.py"], "", directory=elsewhere)
    assert never_imported(capsys)[0] == ["src/pkg/build/never.py", "src/pkg/never.py"]


def test_folders_that_were_not_searched_are_named(project, capsys, monkeypatch):
    """A folder of another machine does not exist here; a home folder holds more than one project."""
    scoped("one", ["src/pkg/used.py"], "", directory="/app/of/a/container")
    scoped("two", ["src/pkg/used.py"], "/srv/of/a/container")
    monkeypatch.setenv("HOME", str(project))
    scoped("three", ["src/pkg/used.py"], "")
    found, errors = never_imported(capsys)
    assert found == ["src/pkg/build/never.py", "src/pkg/never.py"]
    said = [line.partition("not looked for in ")[2] for line in errors.splitlines() if "not looked for" in line]
    assert said == [
        "'/app/of/a/container': it is not here",
        "'/srv/of/a/container': it is not here",
        f"'{project}': it is a home folder, or holds all there is",
    ]


def test_the_search_for_files_is_bounded(project, capsys, monkeypatch):
    """If the search ends early, a remark says so."""
    scoped("one", ["main.py"], "")
    monkeypatch.setattr("instrument.analysis.never_imported.MOST_FILES", 2)
    found, errors = never_imported(capsys)
    assert len(found) == 2
    assert "Not all files that were never imported are listed: the search ended after 2 files" in errors


def test_a_process_records_its_scope(tmp_path, capsys):
    """The data has the scope of the measurement."""
    tree = Tree(tmp_path)
    (tmp_path / "never.py").write_text(NEVER)
    tree.run("def f(): pass\nf()\n")
    tree.run("def f(): pass\nf()\n", _INSTRUMENT_ROOT="77")
    rows = tree.rows("SELECT scope, root FROM process")
    assert {scope for scope, _root in rows} == {str(tmp_path)}
    assert 77 in {root for _scope, root in rows}
    run("report", "--dir", tree.data)
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].split() == ["never.py", "5", "5", "0%", "0", "never", "imported"]
    assert rows[3].split()[0] == "program.py"


def in_format_1(path):
    """Turn the data file at *path* into one of format 1."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ALTER TABLE process RENAME TO new")
    connection.execute(schema.tables(1)["process"])
    columns = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(process)"))
    connection.execute(f"INSERT INTO process SELECT {columns} FROM new")
    connection.execute("DROP TABLE new")
    connection.execute("DROP TABLE given_out")
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_data_of_the_first_format_is_read_and_combined(project, capsys):
    """The scopes of its processes are unknown, and everything else is known."""
    scoped("one", ["main.py"], "")
    in_format_1(Path(".instrument", *files(".instrument")))
    scoped("two", ["main.py", "src/other.py"], "main")
    run("report", "--json")
    before = json.loads(capsys.readouterr().out)
    assert (before["skipped"], before["processes"]) == ([], 2)
    assert {file["path"]: file["hits"] for file in before["files"]} == {
        f"{project}/main.py": 2,
        f"{project}/src/other.py": 1,
    }
    run("combine")
    assert files(".instrument") == ["combined.sqlite"]
    capsys.readouterr()
    run("report", "--json")
    assert json.loads(capsys.readouterr().out) == before


# Processes and runs


def test_processes_and_runs_are_told_apart(project, capsys):
    """Child processes belong to the run of their parent; a process that became another program counts once."""
    scoped("one", ["main.py"], "main", started=1e9, pid=5000001, parent=1, ticks=7)
    scoped("child", ["main.py"], "main", started=1e9 + 1, pid=5000002, parent=5000001)
    scoped("grandchild", ["main.py"], "main", started=1e9 + 2, pid=5000003, parent=5000002)
    scoped("exec", ["main.py"], "main", started=1e9 + 3, pid=5000001, parent=1, ticks=7)
    run("report")
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1e9))
    assert capsys.readouterr().out.splitlines()[-1] == f"Counts of 4 processes in 1 run, since {since}"
    scoped("by a shell", ["main.py"], "main", started=1e9 + 4, pid=5000005, parent=5999999, root=5000001)
    scoped("again", ["main.py"], "main", started=1e9 + 9, pid=5000004, parent=1)
    run("report")
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"Counts of 6 processes in 2 runs, since {since}",
        "(counts of all runs are added up; `instrument erase` or `instrument run --fresh` begins anew)",
    ]
    run("report", "--json")
    data = json.loads(capsys.readouterr().out)
    assert (data["processes"], data["runs"], data["began"]) == (6, 2, 1e9)
    # The outermost process of two wrote nothing.
    scoped("first", ["main.py"], "main", started=1e9 + 10, pid=5000006, parent=5999998, root=5000100)
    scoped("second", ["main.py"], "main", started=1e9 + 11, pid=5000007, parent=5999997, root=5000100)
    run("report")
    assert f"Counts of 8 processes in 3 runs, since {since}" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say when a process was started")
def test_missing_counts_of_running_and_killed_processes_are_mentioned(capsys):
    """A running process has counted more than it has written, and so had a killed one."""
    write(".instrument", "one", {A: {1: 1}})
    run("report")
    assert "is not in these counts" not in capsys.readouterr().out
    with Running() as pid:
        write(".instrument", "two", {A: {1: 1}}, pid=pid, ended="")
        run("report")
        assert re.fullmatch(
            r"\(1 process may still be running: what it ran after 2[-0-9: ]+ is not in these counts\)",
            capsys.readouterr().out.splitlines()[-1],
        )
        for n, words in enumerate(("(1 process ended, and its last", "(2 processes ended, and their last")):
            writer = write(".instrument", f"killed{n}", {A: {1: 1}}, ended="")
            connection = sqlite3.connect(writer.path)
            with connection:  # it is known when it was started, and no such process is there
                connection.execute("UPDATE process SET ticks = 7, place = ?", (KernelIdentity(os.getpid()).place,))
            connection.close()
            run("report")
            assert capsys.readouterr().out.splitlines()[-1].startswith(f"{words} counts are missing: what ")
        Path("before.sqlite").write_bytes(Path(writer.path).read_bytes())  # as `snapshot --copy` makes it
        run("report", "before.sqlite")
        assert capsys.readouterr().out.splitlines()[-1].startswith("(1 process ended, and its last counts are missing")
        run("report", "--unused-for", "1d")
        assert "(Not certain: of 2 processes that ended the last counts are missing." in capsys.readouterr().out
        run("report", "--json")
        document = json.loads(capsys.readouterr().out)
        assert (len(document["cut_off"]), len(document["running"])) == (2, 1)


def test_a_fresh_run_begins_anew(tmp_path):
    """Data of earlier runs is removed first, with a message."""
    tree = Tree(tmp_path)
    tree.write("def f(): pass\nf()\n")
    command = [sys.executable, "-m", "instrument", "run", "--dir", str(tree.data), "--fresh", str(tree.path)]
    environment = {**tree.environment(), "PYTHONPATH": str(ROOT)}
    for n in range(2):
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == (f"1 data file removed from {tree.data}\n" if n else "")
    assert len(tree.files()) == 1
    assert tree.lines()[2] == 1


# Times, kinds, and JSON of what is unused


def test_short_periods_are_shown_with_the_time_of_day(capsys):
    """A date alone says nothing about today; classes and modules have their own words."""
    now = time.time()
    path = Path("m.py").absolute()
    path.write_text(NEVER)
    key = str(path), version_of(NEVER.encode())
    writer = Writer(".instrument", process("one"))
    writer.process.started = now - 3000
    functions = {("<module>", 1): (1, now - 2000, now - 2000), ("C", 5): (1, now - 2000, now - 2000)}
    lines = dict.fromkeys((1, 5, 6), (1, now - 2000, now - 2000)) | {2: (1, now, now)}
    writer.write([(key, lines)], [(key, functions)], {}, "exit")
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now - 2000))
    run("report", "--unused-for", "15m")
    output = capsys.readouterr().out.splitlines()
    assert output[0].startswith("Not used since 2")
    assert output[0].count(":") == 3
    assert output[1].startswith("(Not certain: the times are those of flushes, up to 3000 s apart.")
    assert output[2:] == [
        "m.py",
        f"    module level  last {moment}",
        f"    class C (line 5)  last {moment}",
        "    function C.m (line 6)  never",
        "    line 7  never",
        f"    lines 1, 5-6  last {moment}",
    ]
    run("report", "--unused-for", "15m", "--json")
    data = json.loads(capsys.readouterr().out)
    assert abs(data["unused_since"] - (now - 900)) < 60
    [file] = data["files"]
    assert [(each["name"], each["kind"], each["last"]) for each in file["unused"]["functions"]] == [
        ("<module>", "module", now - 2000),
        ("C", "class", now - 2000),
        ("C.m", "function", None),
    ]
    assert file["unused"]["lines"] == {"1": now - 2000, "5": now - 2000, "6": now - 2000, "7": None}
    run("report", "--json")
    assert "unused" not in json.loads(capsys.readouterr().out)["files"][0]


# One source in several places


def elsewhere(name, places, source, **known):
    """Write data of a process for each of *places*, where *source* ran once."""
    for n, place in enumerate(places):
        write(".instrument", f"{name}{n}", {(str(place), version_of(source.encode())): {1: 1, **known}})


def test_the_same_source_under_two_roots_is_one_row(tmp_path, capsys):
    """Counts from a container are added to those of the same source here."""
    source = "x = 1\ny = 2\n"
    Path("pkg").mkdir()
    for name in ("__init__", "m"):
        Path(f"pkg/{name}.py").write_text(source if name == "m" else "")
    elsewhere("m", ["/app/pkg/m.py", tmp_path / "pkg" / "m.py", "/srv/checkout/pkg/m.py"], source)
    run("report", "--missing")
    output = capsys.readouterr()
    assert table_rows(output.out) == [["pkg/m.py", "2", "1", "50%", "3", "1:", "3", "2"]]
    assert f"Same source: '/app/pkg/m.py' is '{tmp_path}/pkg/m.py' here" in output.err
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["measured_at"] == ["/app/pkg/m.py", "/srv/checkout/pkg/m.py", f"{tmp_path}/pkg/m.py"]
    run("annotate")
    assert Path("pkg/m.cover").read_text() == "    3: x = 1\n>>>>>> y = 2\n"


def test_a_source_that_was_only_measured_elsewhere_is_found_here(tmp_path, capsys):
    """A checkout with the same content is found."""
    source = "x = 1\n"
    Path("src/pkg").mkdir(parents=True)
    Path("src/pkg/__init__.py").write_text("")
    Path("src/pkg/m.py").write_text(source)
    elsewhere("m", ["/app/src/pkg/m.py", "/ci/build/src/pkg/m.py"], source)
    run("report")
    assert capsys.readouterr().out.splitlines()[2].split() == ["src/pkg/m.py", "1", "0", "100%", "2", "1:", "2"]


def test_sources_that_may_differ_are_not_put_together(tmp_path, capsys):
    """These are other versions, modules of other packages, sources that fit two files, and two files that exist here."""
    for name in ("one/pkg/__init__.py", "two/pkg/__init__.py", "one/a/__init__.py", "two/b/__init__.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x = 1\n")
    both = [tmp_path / name for name in ("one/pkg/__init__.py", "two/pkg/__init__.py", "one/a/__init__.py")]
    elsewhere("m", [*both, "/app/pkg/__init__.py", "/app/c/__init__.py"], "x = 1\n")
    write(".instrument", "other", {("/app/a/__init__.py", "sha256:" + "0" * 64): {1: 1}})
    Path("one/d").mkdir()
    Path("one/d/__init__.py").write_text("y = 1\n")
    elsewhere("n", [tmp_path / "one/d/__init__.py", "/app/e/__init__.py"], "y = 1\n")
    run("report")
    output = capsys.readouterr()
    rows = [row[0] for row in table_rows(output.out)]
    assert rows == [
        "/app/a/__init__.py",
        "/app/c/__init__.py",
        "/app/e/__init__.py",
        "/app/pkg/__init__.py",
        "one/a/__init__.py",
        "one/d/__init__.py",
        "one/pkg/__init__.py",
        "two/pkg/__init__.py",
    ]
    assert "Same source" not in output.err


def test_a_diff_finds_the_same_source_under_two_roots(tmp_path, capsys):
    """Data from a container can be compared with data from here."""
    source = "x = 1\n"
    Path("m.py").write_text(source)
    version = version_of(source.encode())
    write("a", "one", {("/app/m.py", version): {1: 2}})
    write("b", "two", {(str(tmp_path / "m.py"), version): {1: 5}, ("/ci/m.py", version): {1: 1}})
    assert run("diff", "a", "b") == 0
    output = capsys.readouterr()
    assert table_rows(output.out) == [["m.py", "1", "4", "1:", "4", "1"]]
    assert f"Same source: '/app/m.py' is '{tmp_path}/m.py' here" in output.err
    assert run("diff", "a", "b", "--json") == 0
    assert f"Same source: '/ci/m.py' is '{tmp_path}/m.py' here" in json.loads(capsys.readouterr().out)["remarks"]


def test_a_copy_of_what_ran_is_not_called_never_imported(tmp_path, capsys):
    """If an installed package ran, its sources in the project are left out with a remark, or are the same file."""
    for folder in ("src", "lib/site-packages"):
        Path(folder, "pkg").mkdir(parents=True)
        Path(folder, "pkg/__init__.py").write_text("x = 1\n")
        Path(folder, "pkg/m.py").write_text("x = 1\ny = 2\n")
    Path("src/pkg/more.py").write_text("x = 1\n")
    Path("main.py").write_text("import pkg.m\n")
    Path("tools").mkdir()
    Path("tools/main.py").write_text("import pkg.m\n")  # the same as another file of the project, and no copy of it
    installed = tmp_path / "lib" / "site-packages" / "pkg"
    scoped("one", ["main.py", installed / "__init__.py", installed / "m.py"], "1\npkg")
    run("report")
    output = capsys.readouterr()
    rows = [row[0] for row in table_rows(output.out)]
    others = ["main.py", "src/pkg/more.py", "tools/main.py"]
    assert rows == ["lib/site-packages/pkg/__init__.py", "lib/site-packages/pkg/m.py", *others]
    assert (
        f"Left out: 2 files of which a copy ran, such as '{tmp_path}/src/pkg/__init__.py', "
        f"which ran as '{installed}/__init__.py'; [tool.instrument.paths] can say" in output.err
    )
    Path("pyproject.toml").write_text('[tool.instrument.paths]\npkg = ["src", "*/site-packages"]\n')
    run("report")
    output = capsys.readouterr()
    rows = [row[0] for row in table_rows(output.out)]
    assert rows == ["main.py", "src/pkg/__init__.py", "src/pkg/m.py", "src/pkg/more.py", "tools/main.py"]
    assert "Left out" not in output.err


def test_installed_copies_of_what_was_never_imported_are_named(tmp_path, monkeypatch, capsys):
    """A remark names the installed copy of a source if that copy is not in the scope."""
    for folder in ("src", "lib/site-packages"):
        Path(folder, "pkg").mkdir(parents=True)
        Path(folder, "pkg/__init__.py").write_text("x = 1\n")
    Path("src/pkg/edited.py").write_text("x = 1\n")
    Path("lib/site-packages/pkg/edited.py").write_text("x = 2\n")
    Path("main.py").write_text("import pkg\n")
    monkeypatch.syspath_prepend(tmp_path / "lib" / "site-packages")
    scoped("one", ["main.py"], "")
    run("report")
    errors = capsys.readouterr().err
    assert (
        f"Never imported from here: 1 file of which a copy is installed, such as '{tmp_path}/src/pkg/__init__.py'; "
        f"'{tmp_path}/lib/site-packages/pkg/__init__.py' may have run in its place" in errors
    )


def test_the_user_can_say_which_folders_are_the_same(tmp_path, capsys):
    """As in coverage.py, the first of each list stands for the others, whether or not they exist here."""
    Path("pyproject.toml").write_text(
        '[tool.instrument.paths]\nsource = ["src", "/app/src", "*/checkout/src", "old"]\n'
    )
    for folder in ("src", "old"):
        Path(folder).mkdir()
        Path(folder, "m.py").write_text("x = 1\n")
    places = ["/app/src/m.py", "/ci/1/checkout/src/m.py", tmp_path / "old" / "m.py", tmp_path / "src" / "m.py"]
    elsewhere("m", places, "x = 1\n")
    elsewhere("gone", ["/app/src/gone.py", "/ci/2/checkout/src/gone.py"], "y = 1\n")
    run("report")
    assert table_rows(capsys.readouterr().out) == [
        ["src/gone.py", "(missing)", "-", "-", "-", "2", "1:", "2"],
        ["src/m.py", "1", "0", "100%", "4", "1:", "4"],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("paths = 3", "is a number; it must be a table"),
        ('[tool.instrument.paths]\nx = ["a"]', "'x' must be a list of two or more folders"),
        ('[tool.instrument.paths]\nx = ["*/a", "b"]', "must begin with the local folder"),
    ],
)
def test_folders_that_make_no_sense_are_refused(words, message):
    """The message names the file and the key."""
    measured("m.py", "x = 1\n", {1: 1})
    Path("pyproject.toml").write_text(f"[tool.instrument]\n{words}\n")
    with pytest.raises(ConfigError, match=rf"pyproject.toml, \[tool.instrument\], key 'paths'.*{message}"):
        run("report")


def test_a_diff_names_files_that_ran_uncounted(capsys):
    """Uncounted code may have run between the two moments."""
    write("a", "one", {A: {1: 5}})
    write("b", "one", {A: {1: 6}}, not_measured={"/x.py": "why"})
    run("diff", "a", "b")
    assert "Not measured: '/x.py': why" in capsys.readouterr().err
    run("diff", "a", "b", "--json")
    assert json.loads(capsys.readouterr().out)["not_measured"] == [{"path": "/x.py", "reason": "why"}]


# Patterns, folders, widths


def test_a_source_in_an_archive_has_a_reason_of_its_own(tmp_path, capsys):
    """The remark names the archive and a way out, and does not say that the version is unknown."""
    Path("app.pyz").write_bytes(b"PK")
    write(".instrument", "one", {(f"{tmp_path}/app.pyz/pkg/m.py", "compiled:0"): {1: 1}, ("/no/m.py", "compiled:0"): {1: 1}})
    run("report")
    errors = capsys.readouterr().err
    assert f"m.py': it is in the archive '{tmp_path}/app.pyz', and sources in archives are not read: run the" in errors
    assert "'/no/m.py': it is not known which version was measured (compiled:0)" in errors


def test_patterns_may_be_separated_by_commas_and_completed_by_shells(project, capsys):
    """A pattern that matches no file is named."""
    scoped("one", ["main.py", "src/other.py", "tests/test_pkg.py", "src/pkg/used.py"], None)

    def reported(*arguments):
        run("report", *arguments)
        output = capsys.readouterr()
        errors = [line for line in output.err.splitlines() if line.startswith("--")]
        return [row[0] for row in table_rows(output.out)], errors

    assert reported("--omit", "src/*,tests/*") == (["main.py"], [])
    assert reported("--omit", "./tests", "--omit", "src/") == (["main.py"], [])
    assert reported("--include", "./src", "--omit", f"{project}/src/pkg") == (["src/other.py"], [])
    assert reported("--include", "main.py", "--omit", "test,nothing/*") == (
        ["main.py"],
        ["--omit 'test' matches no file in these data", "--omit 'nothing/*' matches no file in these data"],
    )
    run("diff", ".instrument", ".instrument", "--omit", "nothing")
    assert "--omit 'nothing' matches no file" in capsys.readouterr().err
    run("annotate", "-d", "covers", "--include", "main.py,nothing")
    assert "--include 'nothing' matches no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["report", "annotate", "combine", "erase"])
def test_the_folder_of_the_data_can_be_named(command, tmp_path):
    """`--dir` has the same meaning for each command."""
    key = measured("m.py", "x = 1\n", {1: 1})
    os.rename(".instrument", "data")
    assert run(command, "--dir", "data") == 0
    assert key
    assert not os.path.exists(".instrument")


def test_long_paths_are_shortened_for_terminals(monkeypatch, capsys):
    """In a file, paths are complete; on a terminal, the table has its width."""
    name = f"{'deep/' * 30}module.py"
    measured(name, "x = 1\n", {1: 1})
    run("report")
    assert name in capsys.readouterr().out
    monkeypatch.setattr("instrument.report.file_table.terminal_width", lambda: 80)
    run("report", "-m")
    rows = capsys.readouterr().out.splitlines()
    assert max(map(len, rows[:-1])) <= 80
    assert rows[2].startswith("deep/deep/")
    assert "…" in rows[2]
    assert "/module.py " in rows[2]


@pytest.mark.parametrize("width", [30, 45, 60, 61, 80])
def test_a_table_keeps_to_the_width_of_the_terminal(width, monkeypatch, capsys):
    """Wide characters take two columns, remarks continue on further lines, and columns that do not fit are named."""
    measured("\u6f22\u5b57" * 20 + ".py", "x = 1\n" * 2, {1: 1})
    measured("m.py", "x = 0\nif x:\n" + "    x = 1\n" * 40, {1: 10**7, 2: 1} | dict.fromkeys(range(4, 40, 2), 1))
    monkeypatch.setattr("instrument.report.file_table.terminal_width", lambda: width)
    run("report", "-m")
    rows = capsys.readouterr().out.splitlines()
    end = next(n for n, row in enumerate(rows) if row.startswith(("Counts", "(too")))
    assert max(map(columns, rows[:end])) <= width
    assert (width == 80) is not rows[end].startswith("(too narrow for: ")
    listed = [part.strip(",") for row in rows[2:end] for part in row.split() if part.strip(",") in ("3", "5", "39-42")]
    run("report")
    assert (width >= 60) is ("(too narrow for: " not in capsys.readouterr().out)
    assert listed == ["3", "5", "39-42"]


def test_an_empty_file_has_no_line_0(tmp_path, capsys):
    """Its code runs on line 0, which the drop-in reports as `trace` does; a table does not have that line."""
    measured("pkg/__init__.py", "", {0: 3})
    run("report")
    assert table_rows(capsys.readouterr().out) == [["pkg/__init__.py", "0", "0", "-", "0", "-"]]
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["lines"], file["hits"], file["executable"], file["imported"]) == ({}, 0, 0, True)
    run("annotate")
    assert Path("pkg/__init__.cover").read_text() == ""


def test_a_pattern_that_leaves_folders_out_is_corrected(project, capsys):
    """If a pattern matches with any folders in front of it, the message says so."""
    scoped("one", ["src/pkg/used.py"], None)
    with pytest.raises(DataError):
        run("report", "--only-imported", "--include", "used.py")
    error = capsys.readouterr().err
    assert error == (
        "--include 'used.py' matches no file in these data; a pattern is for the whole path: '*/used.py' matches\n"
    )
    run("report", "--only-imported", "--include", "*/used.py", "--omit", "other.py")
    assert capsys.readouterr().err == "--omit 'other.py' matches no file in these data\n"


def test_a_file_with_the_characters_of_a_pattern_can_be_named(capsys):
    """A pattern that equals the name of a file matches that file."""
    measured("[id].py", "x = 1\n", {1: 1})
    measured("other.py", "x = 1\n", {1: 1})
    run("report", "--include", "[id].py")
    output = capsys.readouterr()
    assert [row[0] for row in table_rows(output.out)] == ["[id].py"]
    assert "matches no file" not in output.err


def test_messages_name_the_origin_of_a_pattern(capsys):
    """An option is named only if the command line has it; else pyproject.toml is."""
    from instrument.cli import _execute

    measured("m.py", "x = 1\n", {1: 1})
    Path("pyproject.toml").write_text('[tool.instrument]\ninclude = ["nothing"]\n')
    for command in ("report", "annotate"):
        assert _execute(command, []) == 1
        error = capsys.readouterr().err
        assert "[tool.instrument] of pyproject.toml, key 'include': " in error
        assert "--include" not in error
        assert _execute(command, ["--include", "other"]) == 1
        error = capsys.readouterr().err
        assert ": the patterns are --include 'other'" in error
        assert "pyproject" not in error


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the environment of processes")
def test_a_running_process_without_counts_is_named(tmp_path, capsys):
    """Each command says that the counts of such a process are not included, and when it writes them."""
    key = measured("m.py", "x = 1\n", {1: 1})
    environment = {**os.environ, "INSTRUMENT": "1", "INSTRUMENT_DIR": str(tmp_path / ".instrument")}
    environment["INSTRUMENT_FLUSH"] = "0"
    code = "print(flush=True); input()"
    running = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        running.stdout.readline()
        said = f"Not in these counts: process {running.pid} ("
        folder = ".instrument"
        for command in (
            ["report"],
            ["report", "--json"],
            ["report", "--unused-for", "1d"],
            ["annotate"],
            ["diff", folder, folder],
            ["combine", "--keep"],
        ):
            run(*command)
            output = capsys.readouterr()
            assert said in output.err, command
            assert "is running, and writes only at its end" in output.err
            if "--json" in command:
                assert [each["pid"] for each in json.loads(output.out)["unwritten"]] == [running.pid]
            if "--unused-for" in command:
                assert "(Not certain: 1 running process wrote no counts yet.)" in output.out
        info = process("it")
        info.pid = running.pid
        Writer(".instrument", info).write([(key, {1: (1, 1e9, 1e9)})], [], {}, "")
        run("report", "--unused-for", "1d")
        output = capsys.readouterr()
        assert said not in output.err
        assert f"(Not certain: process {running.pid} may be running. What it used after " in output.out
    finally:
        running.communicate("\n")


@pytest.mark.parametrize(
    ("n", "total", "words"), [(0, 0, "-"), (0, 9, "0%"), (9, 9, "100%"), (1, 1000, "1%"), (999, 1000, "99%")]
)
def test_percentages_are_0_or_100_only_for_none_and_all(n, total, words):
    """A single missing line is visible."""
    assert percentage(n, total) == words


def test_one_listing_is_not_many(capsys):
    """The message of `annotate` has the singular for one listing."""
    measured("m.py", "x = 1\n", {1: 1})
    run("annotate")
    assert "1 listing written beside its source\n" in capsys.readouterr().err
    measured("n.py", "x = 1\n", {1: 1})
    run("annotate")
    assert "2 listings written beside their sources\n" in capsys.readouterr().err


def test_another_python_is_named(capsys):
    """The lines that can run depend on the version of Python."""
    measured("m.py", "x = 1\n", {1: 1})
    [name] = files(".instrument")
    connection = sqlite3.connect(f".instrument/{name}")
    with connection:
        connection.execute("UPDATE process SET python = '3.2.1'")
    connection.close()
    run("report")
    assert "Measured by Python 3.2, reported by" in capsys.readouterr().err


def test_the_help_says_what_the_columns_are():
    """The help describes each column."""
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
    importlib.import_module("instrument.commands.report").add_arguments(parser)
    words = parser.format_help()
    for column in ("Lines", "Missing", "Ran", "Hits", "Hottest line"):
        assert f"\n  {column} " in words


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
def test_hostile_scopes_and_folders_do_not_block_a_report(tmp_path, capsys):
    """A data file may have any scope and any folder: only sources are read, and the search is bounded."""
    Path("main.py").write_text(NEVER)
    os.mkfifo("pipe.py")
    os.symlink("/dev/zero", "zero.py")
    os.symlink(".", "loop")
    for n, (scope, directory) in enumerate(
        [
            (f"{tmp_path}", "/"),
            ("nul\0\n/nul\0", str(tmp_path)),
            ("", "nul\0"),
            (f"{tmp_path}/pipe.py\n/dev/zero\n/dev/null\n..\n.\n\x1b[31m", "relative"),
            ("", str(tmp_path / "main.py")),
            ("/" + "x" * 5000, "/" + "x" * 5000),
        ]
    ):
        scoped(f"{n}", ["main.py"], scope, directory=directory)
    elsewhere("m", ["/a/../main.py", "/x\0/main.py", "/app/main.py"], NEVER)
    assert run("report", "--missing") == 0
    output = capsys.readouterr()
    assert "\0" not in output.out + output.err
    assert sorted(row[0] for row in table_rows(output.out)) == ["/a/../main.py", "/x\\x00/main.py", "main.py"]


def test_a_changed_source_has_no_unused_functions(capsys):
    """For another text it is unknown which functions did not run."""
    measured("m.py", "def f():\n    pass\n", {1: 1})
    Path("m.py").write_text("# new\ndef f():\n    pass\n")

    assert run("report", "--unused-for", "1d") == 0
    output = capsys.readouterr().out
    assert "all that was measured was used" not in output
    assert "1 source is not known as measured" in output


def test_a_version_that_only_the_later_data_has_is_compared(capsys):
    """B has all versions of A, and one of the edited source."""
    old = measured("m.py", "x = 1\n", {1: 1})
    new = old[0], version_of(b"x = 2\n")
    write("A", "one", {old: {1: 1}})
    write("B", "one", {old: {1: 1}})
    write("B", "two", {new: {1: 5}})

    assert run("diff", "A", "B") == 0
    assert "Nothing ran" not in capsys.readouterr().out
    assert run("diff", "--json", "A", "B") == 0
    hits = {file["version"]: file["hits"] for file in json.loads(capsys.readouterr().out)["files"]}
    assert hits == {old[1]: 0, new[1]: 5}


# Processes with -O ####################################################################################################

ASSERTS = '''\
def f(n):
    """Docstring."""
    if n:
        return n
    assert (
        n == 0
    )
    if __debug__:
        n += 1
    return n
f(1)
'''


def ran_with(*options):
    """Run the program in `prog.py` with these *options* of the interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONOPTIMIZE": ""}
    command = [sys.executable, *options, "-m", "instrument", "run", "prog.py"]
    subprocess.run(command, env=environment, check=True, timeout=100)


def missing_of_prog(capsys):
    """Return the missing lines of `prog.py`, and the remarks."""
    capsys.readouterr()
    assert run("report", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    [file] = document["files"]
    return file["missing"], " ".join(document["remarks"])


def test_code_that_an_optimised_process_leaves_out_is_not_missing(capsys):
    """-O and -OO leave out `assert` and `if __debug__:`; a remark gives the number of such processes."""
    Path("prog.py").write_text(ASSERTS)
    ran_with()
    assert missing_of_prog(capsys) == ([6, 8, 9, 10], "")
    ran_with("-O")
    assert missing_of_prog(capsys)[0] == [8, 10]
    assert "1 of 2 processes ran with -O" in missing_of_prog(capsys)[1]
    for name in files(".instrument"):
        Path(".instrument", name).unlink()
    ran_with("-OO")
    missing, remarks = missing_of_prog(capsys)
    assert missing == [8, 10]
    assert "where they did not run: 1 process ran with -O" in remarks


def test_a_report_by_an_optimised_python_is_the_same(capsys):
    """The options of the measured process decide, not those of the report."""
    Path("prog.py").write_text(ASSERTS)
    ran_with()
    command = [sys.executable, "-O", "-m", "instrument", "report", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=100)
    assert json.loads(finished.stdout)["files"][0]["missing"] == missing_of_prog(capsys)[0]
