"""The commands on data: combine, report, annotate, erase, diff."""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import NO_SUCH_PID, A, B, Running, counts, files, more, process, write

from instrument.analysis.patterns import FilePatterns, shown
from instrument.analysis.source_file import version_of
from instrument.commands import combine as combine_room
from instrument.data.process_identity import ProcessInfo
from instrument.data.writer import Writer
from instrument.errors import DataError
from instrument.report.text import ProgressBar, number_of, ranges

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INSTRUMENT_DIR", raising=False)


def run(command, *arguments):
    """Run *command* as the command line does, and return its exit status."""
    room = importlib.import_module(f"instrument.commands.{command}")
    parser = argparse.ArgumentParser()
    room.add_arguments(parser)
    return room.execute(parser.parse_args([str(argument) for argument in arguments]))


SHOP = """\
def price(items):
    total = 0
    for item in items:
        if item > 100:
            total += item * 0.9
        else:
            total += item
    return total


def refund(x):
    '''Give back.'''
    y = x
    return y


price(range(3))
"""
SHOP_COUNTS = {1: 1, 2: 1, 3: 4, 4: 3, 7: 3, 8: 1, 11: 1, 17: 1}


@pytest.fixture
def shop(tmp_path):
    """A source file that was measured; its path and version."""
    path = tmp_path / "shop.py"
    path.write_text(SHOP)
    key = (str(path), version_of(SHOP.encode()))
    write(".instrument", "one", {key: SHOP_COUNTS}, functions=[(key, {("price", 1): (1, 100.0, 200.0)})])
    return key


# combine


def test_combine_makes_one_file_and_removes_the_others(capsys):
    """The sum is in place, the files of ended processes are removed, and a message says so."""
    for n in range(3):
        write(".instrument", str(n), {A: {1: 10**n}, B: {n: 1}})

    assert run("combine") == 0
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 111}, B: {0: 1, 1: 1, 2: 1}}
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "Combined 3 processes in .instrument/combined.sqlite; 3 files removed\n")


def test_combining_again_adds_new_data():
    """Earlier data stays in the sum, and counts once."""
    write(".instrument", "one", {A: {1: 1}})
    run("combine")
    run("combine")
    write(".instrument", "two", {A: {1: 10}})
    run("combine")

    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 11}}


def test_combine_with_keep_removes_nothing():
    """With --keep nothing is removed, and still nothing counts twice."""
    write(".instrument", "one", {A: {1: 1}})
    for _ in range(2):
        run("combine", "--keep")
        assert len(files(".instrument")) == 2
        assert counts(".instrument/combined.sqlite") == {A: {1: 1}}


def test_combine_leaves_running_processes_alone():
    """Their data is in the sum, and their files stay; after their end the sum has their last state."""
    with Running() as pid:
        writer = write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        write(".instrument", "two", {A: {1: 10}})
        for n in (5, 6):
            run("combine")
            assert files(".instrument") == ["combined.sqlite", os.path.basename(writer.path)]
            more(writer, {A: {1: n}}, ended="")
        assert counts(".instrument/combined.sqlite") == {A: {1: 15}}
        more(writer, {A: {1: 7}}, ended="")
    run("combine")  # it was killed, and said no last word
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 17}}


def test_a_process_of_another_machine_has_ended_only_if_its_data_says_so():
    """This machine cannot see whether it runs, so its file stays until then."""
    writer = Writer(".instrument", process("one"))
    writer.process.host = "elsewhere"
    more(writer, {A: {1: 1}}, ended="")
    import sqlite3

    connection = sqlite3.connect(writer.path)
    with connection:
        connection.execute("UPDATE process SET place = 'another boot pid:[1]'")
    connection.close()
    run("combine")
    assert len(files(".instrument")) == 2
    more(writer, {A: {1: 2}}, ended="exit")
    run("combine")
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 2}}


def test_combine_into_a_file_that_is_named(tmp_path):
    """The data at all paths is added to what that file has already."""
    one = write("a", "one", {A: {1: 1}})
    write("b", "two", {A: {1: 10}})
    run("combine", one.path, "b", "-o", "new/sum.sqlite")
    assert (files("a"), files("b")) == ([], [])
    write("b", "three", {A: {1: 100}})
    run("combine", "b", "-o", "new/sum.sqlite")
    assert counts("new/sum.sqlite") == {A: {1: 111}}


def test_combine_overwrites_no_other_file():
    """If the output is no data file, it stays unchanged, and nothing is removed."""
    write(".instrument", "one", {A: {1: 1}})
    Path("precious.sqlite").write_text("precious")
    with pytest.raises(DataError, match=r"'precious.sqlite' is there, and is left as it is: it is no data file.*-o"):
        run("combine", "-o", "precious.sqlite")
    assert Path("precious.sqlite").read_text() == "precious"
    assert len(files(".instrument")) == 1
    assert files(".") == [".instrument", "precious.sqlite"]


def test_combine_names_what_it_skips(capsys):
    """A foreign file is named, escaped, and stays; the others are combined."""
    write(".instrument", "one", {A: {1: 1}})
    Path(".instrument/bad\x1b[31m.sqlite").write_text("bad")

    assert run("combine") == 0
    assert "Skipping data file '.instrument/bad\\x1b[31m.sqlite': it is no data file" in capsys.readouterr().err
    assert files(".instrument") == ["bad\x1b[31m.sqlite", "combined.sqlite"]


@pytest.mark.parametrize("command", ["combine", "report", "annotate"])
def test_no_data_is_an_error(command):
    """The message says how to get data."""
    with pytest.raises(DataError, match=r"no data in '.instrument'.*INSTRUMENT=1"):
        run(command)
    assert not os.path.exists(".instrument")


@pytest.mark.parametrize("command", ["report", "annotate", "combine"])
def test_no_data_here_says_where_it_may_be(command, tmp_path, monkeypatch):
    """The data may be in a folder above; or PATH is a source file; or nothing is written, as others can write there."""
    Path("shop.py").write_text(SHOP)
    with pytest.raises(DataError, match=r"--include 'shop.py' chooses a source file, a PATH is of data"):
        run(command, "shop.py")
    write(".instrument", "one", {A: {1: 1}})
    (tmp_path / "sub" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "sub" / "sub")
    with pytest.raises(DataError, match=f"there is data in '{tmp_path}/.instrument'"):
        run(command)
    Path("open").mkdir()
    Path("open").chmod(0o777)
    with pytest.raises(DataError, match="saves nothing in 'open': others can write to it"):
        run(command, "open")
    monkeypatch.setenv("INSTRUMENT_SHARED", "1")
    with pytest.raises(DataError) as raised:
        run(command, "open")
    assert "saves nothing" not in str(raised.value)


def test_a_kill_between_rename_and_removal_doubles_nothing(monkeypatch):
    """The sum knows its processes: files that were not removed yet are removed the next time."""
    for n in range(3):
        write(".instrument", str(n), {A: {1: 10**n}})
    with monkeypatch.context() as patch:
        patch.setattr(combine_room, "_remove", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run("combine")
    assert len(files(".instrument")) == 4
    run("combine")
    assert files(".instrument") == ["combined.sqlite"]
    assert counts(".instrument/combined.sqlite") == {A: {1: 111}}


COMBINE = """
import argparse
from instrument.commands import combine
parser = argparse.ArgumentParser()
combine.add_arguments(parser)
combine.execute(parser.parse_args([]))
"""


def test_kills_at_any_moment_lose_and_double_nothing():
    """Combine is killed many times: the remaining files have each process once."""
    total = 0
    for n in range(12):
        for k in range(6):
            write(".instrument", f"{n}x{k}", {A: {1: 1, 2: n}, B: dict.fromkeys(range(1, 300), 1)})
            total += 1
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen([sys.executable, "-c", COMBINE], env=environment, stderr=subprocess.PIPE) as process_:
            time.sleep(0.05 + 0.025 * n)
            process_.send_signal(signal.SIGKILL)
        result, found = {}, [name for name in files(".instrument") if name.endswith(".sqlite")]
        assert found
        assert run("combine", "--keep", "-o", f"check{n}.sqlite") == 0
        result = counts(f"check{n}.sqlite")
        assert result[A][1] == total
        assert result[B] == dict.fromkeys(range(1, 300), total)


def test_one_combine_at_a_time():
    """A second command says so, and changes nothing."""
    write(".instrument", "one", {A: {1: 1}})
    with combine_room._locked(".instrument", "x"), pytest.raises(DataError, match="another process"):
        run("combine")
    assert len(files(".instrument")) == 1
    assert run("combine") == 0


def test_combine_removes_old_temporary_files():
    """Old temporary files are removed; young ones may be in use and stay."""
    write(".instrument", "one", {A: {1: 1}})
    names = [".combined-0123456789abcdef.tmp", ".combined-0123456789abcdef.tmp-journal", ".vm-12-abc-0123.tmp"]
    for name in [*names, ".combined-ff.tmp", "notes.tmp"]:
        Path(".instrument", name).write_text("x")
    for name in names:
        os.utime(f".instrument/{name}", (1, 1))
    run("combine")
    assert files(".instrument") == [".combined-ff.tmp", "combined.sqlite", "notes.tmp"]


def test_a_read_only_folder_is_named(tmp_path):
    """If the sum cannot be written, nothing is removed."""
    write(".instrument", "one", {A: {1: 1}})
    Path("file").write_text("x")
    with pytest.raises(DataError, match=r"'file/sum.sqlite' cannot be written"):
        run("combine", "-o", "file/sum.sqlite")
    assert len(files(".instrument")) == 1


def test_a_full_disk_leaves_the_old_sum(tmp_path):
    """The files that were added stay until the sum is in place."""
    Path("small").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", "small"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    try:
        write("data", "one", {A: {1: 1}})
        run("combine", "data", "-o", "small/sum.sqlite")
        write("data", "two", {A: dict.fromkeys(range(20_000), 10)})
        try:
            run("combine", "data", "-o", "small/sum.sqlite")
        except DataError:
            pass
        assert counts("small/sum.sqlite") == {A: {1: 1}}
        assert files("small") == ["sum.sqlite"]
        assert len(files("data")) == 1
    finally:
        subprocess.run(["umount", "small"], check=True)


def test_the_progress_bar_is_for_terminals(capsys, monkeypatch):
    """On a terminal the bar is drawn, and erased at the end; elsewhere it is not written."""
    progress = ProgressBar("Combining")
    progress(1, 2)
    assert capsys.readouterr().err == ""
    progress.is_on = True
    progress(1, 2)
    progress(2, 2)
    assert capsys.readouterr().err == f"\rCombining [{'#' * 15:30}] 1/2\rCombining [{'#' * 30}] 2/2\r\x1b[K"


# report


def test_the_table(shop, capsys):
    """It has file, lines, missing, hits and hottest line, the total, the missing lines, and the begin of the counts."""
    import sqlite3

    [name] = files(".instrument")
    connection = sqlite3.connect(f".instrument/{name}")
    with connection:
        connection.execute("UPDATE process SET started = 1e9")
    connection.close()
    assert run("report", "--missing") == 0
    assert capsys.readouterr().out == (
        "File     Lines  Missing  Ran  Hits  Hottest line\n"
        "------------------------------------------------\n"
        "shop.py     11        3  73%    15          3: 4  5, 13-14\n"
        "------------------------------------------------\n"
        "Total       11        3  73%    15\n"
        f"Counts of 1 process in 1 run, since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(1e9))}\n"
    )


def test_a_folder_is_reported_as_if_combined(shop, capsys):
    """The table of many files is that of their sum."""
    write(".instrument", "two", {shop: {5: 1}})
    run("report", "-m")
    before = capsys.readouterr().out
    run("combine")
    capsys.readouterr()
    run("report", "-m")

    assert "13-14" in before
    assert capsys.readouterr().out == before


@pytest.mark.parametrize(
    ("sort", "order"), [("file", "abc"), ("lines", "cba"), ("missing", "bca"), ("hits", "acb"), ("hottest", "acb")]
)
def test_rows_are_sorted(sort, order, capsys):
    """By name, or by a number, the greatest first."""
    sources = {"a": "x = 1\n", "b": "x = 1\nx = 2\nx = 3\n", "c": "x = 1\n" * 4}
    ran = {"a": {1: 100}, "b": {1: 1}, "c": {1: 9, 2: 9}}
    lines = {}
    for name, source in sources.items():
        Path(f"{name}.py").write_text(source)
        lines[os.path.abspath(f"{name}.py"), version_of(source.encode())] = ran[name]
    write(".instrument", "one", lines)
    run("report", "--sort", sort)

    if sort == "missing":
        assert sorted(capsys.readouterr().out.splitlines()[2:5])  # b and c miss two each
    else:
        assert [line[0] for line in capsys.readouterr().out.splitlines()[2:5]] == list(order)


def test_patterns_choose_files(capsys, tmp_path):
    """A pattern matches the whole path, the path as shown, or a folder of it."""
    write(".instrument", "one", {(str(tmp_path / "a" / "x.py"), "v"): {1: 1}, (str(tmp_path / "b.py"), "v"): {1: 1}})

    def reported(*arguments):
        run("report", *arguments)
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:-3]]

    assert reported() == ["a/x.py", "b.py"]
    assert reported("--include", "a/*") == reported("--include", "a") == reported("--omit", "b.py") == ["a/x.py"]
    assert reported("--include", f"{tmp_path}/*", "--omit", "*x.py") == ["b.py"]
    with pytest.raises(DataError, match="nothing is left"):
        run("report", "--include", "nothing")


def test_stale_source_is_named(shop, capsys):
    """A source that has changed is marked, and no line of it is called missing."""
    Path("shop.py").write_text(SHOP + "x = 1\n")
    run("report", "-m")
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split() == ["shop.py", "(stale)", "-", "-", "-", "15", "3:", "4"]
    assert "Stale source: " in output.err
    assert "has changed since it was measured" in output.err


def test_versions_are_never_mixed(shop, capsys):
    """Each version has a row of its own."""
    write(".instrument", "two", {(shop[0], "sha256:" + "0" * 64): {1: 1000}})
    run("report")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:4]]
    assert sorted(rows) == [
        ["shop.py", "(stale)", "-", "-", "-", "1000", "1:", "1000"],
        ["shop.py", "11", "3", "73%", "15", "3:", "4"],
    ]


def test_uncounted_files_are_never_shown_at_zero(shop, capsys):
    """They are listed with the reason; a file that was measured in part has no missing lines."""
    write(".instrument", "two", {}, not_measured={shop[0]: "f cannot be rewritten", "/x.py": "it\x1b is frozen"})
    run("report", "-m")
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split() == ["shop.py", "-", "-", "-", "15", "3:", "4"]
    assert f"Not measured: {shop[0]!r}: f cannot be rewritten" in output.err
    assert "Not measured: '/x.py': it\\x1b is frozen" in output.err


def test_functions_that_may_have_run_elsewhere_are_never_missing(shop, capsys):
    """Their lines are uncertain, all others are known, and one remark names these functions."""
    write(".instrument", "two", {}, given_out=[(shop, "refund", 11, "cloudpickle"), (shop, "refund", 11, "dill")])
    note = (
        "1 function may also have run elsewhere, uncounted, and no line of it is called missing: "
        "refund (shop.py, line 11) (given to cloudpickle, dill)"
    )
    for data in (".instrument", "sum.sqlite"):
        run("report", "-m", "--only-imported", data)
        output = capsys.readouterr()
        assert output.out.splitlines()[2].split() == ["shop.py", "9", "1", "89%", "15", "3:", "4", "5"]
        assert output.err.splitlines() == [note]
        run("combine", "--keep", "-o", "sum.sqlite")
        capsys.readouterr()
    run("report", "--unused-for", "50d", "--only-imported")
    output = capsys.readouterr()
    assert "refund" not in output.out
    assert "line 5  never" in output.out
    assert "13" not in output.out
    assert output.err.splitlines() == [note]
    run("report", "--json", "--unused-for", "50d")
    data = json.loads(capsys.readouterr().out)
    [file] = data["files"]
    assert (file["missing"], file["executable"], file["uncertain"]) == ([5], 9, [11, 13, 14])
    assert file["given_out"] == [{"name": "refund", "line": 11, "to": ["cloudpickle", "dill"]}]
    assert [one["calls"] for one in file["functions"]] == [1, None]
    assert file["unused"]["lines"].keys().isdisjoint({"11", "13", "14"})
    assert [one["name"] for one in file["unused"]["functions"]] == ["price"]
    assert note in data["remarks"]
    run("annotate", "-d", "covers", "--only-imported")
    assert capsys.readouterr().err.splitlines() == [note, "1 listing written in covers"]
    listing = Path("covers/shop.cover").read_text()
    assert listing == LISTING.replace(">>>>>>     y", "           y").replace(">>>>>>     return y", "           return y")


@pytest.mark.parametrize("name", ["gone", "refund.<locals>.gone"])
def test_nothing_is_missing_if_a_function_that_ran_elsewhere_is_not_found(shop, capsys, name):
    """If the source lacks that function, any line may be one of its lines."""
    write(".instrument", "two", {}, given_out=[(shop, name, 11, "cloudpickle")])
    run("report", "-m")
    output = capsys.readouterr()
    assert output.out.splitlines()[2].split() == ["shop.py", "-", "-", "-", "15", "3:", "4"]
    assert f"{name} (shop.py, line 11) (given to cloudpickle)" in output.err
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["missing"], file["uncertain"]) == (None, None)


def test_a_file_that_only_ran_elsewhere_is_not_said_to_be_never_imported(shop, capsys):
    """Functions from before the measurement may have been given out, and nothing else of the file may have run."""
    other = "other.py"
    Path(other).write_text(SHOP)
    key = os.path.abspath(other), shop[1]
    write(".instrument", "two", {}, given_out=[(key, "price", 1, "marshal")])
    run("report", "-m", "--include", other)
    assert "never imported" not in capsys.readouterr().out
    run("annotate", "-d", "covers", "--include", other)
    assert ">>>>>>     y = x" in Path("covers/other.cover").read_text()
    assert ">>>>>>     total = 0" not in Path("covers/other.cover").read_text()


def test_a_diff_names_functions_that_may_have_run_elsewhere(shop, capsys):
    """Their uncounted runs are not in the difference."""
    write("b", "two", {shop: {1: 9}}, given_out=[(shop, "refund", 11, "cloudpickle"), (A, "f", 2, "dill")])
    run("diff", ".instrument", "b", "--omit", "/src/*")
    assert "1 function may also have run elsewhere, uncounted" in capsys.readouterr().err
    run("diff", ".instrument", "b", "--json")
    given_out = json.loads(capsys.readouterr().out)["given_out"]
    assert {(each["path"], each["version"]): each["functions"] for each in given_out} == {
        shop: [{"name": "refund", "line": 11, "to": ["cloudpickle"]}],
        A: [{"name": "f", "line": 2, "to": ["dill"]}],
    }


def test_hostile_names_are_shown_escaped(capsys):
    """No control character reaches the terminal, in tables, remarks or JSON."""
    name = "/src/\x1b]0;evil\x07\n\u202e.py"
    write(".instrument", "one", {(name, "sha256:\x1b[31m"): {1: 1}}, not_measured={name: "\x1b[31m"})
    for arguments in ([], ["--json"], ["--unused-for", "1s"]):
        run("report", *arguments)
        output = capsys.readouterr()
        assert all(text.replace("\n", "").isprintable() for text in output), arguments


def test_sources_that_are_no_files_are_only_named(tmp_path, capsys):
    """A data file may name any path as a source: a pipe does not block the report, and a folder does not end it."""
    os.mkfifo("pipe")
    paths = [
        "/dev/zero",
        str(tmp_path / "pipe"),
        str(tmp_path),
        "nul\0byte",
        "",
        str(tmp_path / "deep.py"),
        "relative.py",
    ]
    deep = ("(" * 100_000).encode()
    Path("deep.py").write_bytes(deep)
    write(".instrument", "one", {(path, version_of(deep)): {1: 1} for path in paths})
    assert run("report", "-m") == 0
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 5 + len(paths)
    assert "cannot be compiled" in output.err


def test_lines_with_the_pragma_of_trace_are_never_missing(capsys, tmp_path):
    """As in listings."""
    source = b"if 0:\n    x = 1\nif []:\n    y = 1  #pragma NO COVER\n    z = 1\n"
    Path("m.py").write_bytes(source)
    write(".instrument", "one", {(str(tmp_path / "m.py"), version_of(source)): {1: 1, 3: 1}})
    run("report", "-m")
    assert capsys.readouterr().out.splitlines()[2].split() == ["m.py", "3", "1", "67%", "2", "1:", "1", "5"]


def test_unused_code_is_listed(shop, capsys):
    """Functions and lines that were not used for a time, or never, are listed by file."""
    now = time.time()
    day = 86400.0
    writer = Writer(".instrument", process("two"))
    writer.process.started = now - 100 * day
    lines = {line: (1, now - 90 * day, now - (40 * day if line in (4, 7) else 0)) for line in (*SHOP_COUNTS, 5)}
    writer.write([(shop, lines)], [(shop, {("price", 1): (1, now, now)})], {}, "exit")
    assert run("report", "--unused-for", "30d") == 0
    old = time.strftime("%Y-%m-%d", time.localtime(now - 40 * day))
    output = capsys.readouterr().out.splitlines()
    # One flush after 100 days does not say when in these days code ran.
    assert output[1].startswith("(Not certain: the times are those of flushes, up to 8640000 s apart.")
    assert output[2:] == [
        "shop.py",
        "    function refund (line 11)  never",
        "    lines 13-14  never",
        f"    lines 4, 7  last {old}",
    ]
    run("report", "--unused-for", "50d")
    assert "last" not in capsys.readouterr().out
    run("report", "--unused-for", "300d")
    assert "what is older than that is not known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("30d", 2592000), ("1w", 604800)]
)
def test_a_duration_is_a_number_and_a_unit(words, seconds):
    """Each unit is understood."""
    from instrument.commands.report import duration

    assert duration(words) == seconds


@pytest.mark.parametrize("words", ["", "30", "d", "-1d", "1y", "1e9d", "nand", "9" * 400 + "d"])
def test_other_texts_are_no_durations(words, capsys):
    """The message shows examples."""
    with pytest.raises(SystemExit):
        run("report", f"--unused-for={words}")
    assert "say 90s, 15m" in capsys.readouterr().err


def test_json_holds_all_that_is_known(shop, capsys):
    """Other programs get lines, functions, times and missing lines."""
    write(".instrument", "two", {}, not_measured={"/x.py": "why"})
    Path(".instrument/bad.sqlite").write_text("bad")
    run("report", "--json")
    data = json.loads(capsys.readouterr().out)
    [file] = data["files"]
    assert (file["path"], file["version"], file["source"]) == (*shop, "current")
    assert (file["executable"], file["missing"], file["hits"]) == (11, [5, 13, 14], 15)
    assert {int(line): seen["count"] for line, seen in file["lines"].items()} == SHOP_COUNTS
    assert file["functions"] == [
        {"name": "price", "line": 1, "kind": "function", "calls": 1, "first": 100.0, "last": 200.0},
        {"name": "refund", "line": 11, "kind": "function", "calls": 0, "first": None, "last": None},
    ]
    assert data["not_measured"] == [{"path": "/x.py", "reason": "why"}]
    assert [skipped["path"] for skipped in data["skipped"]] == [".instrument/bad.sqlite"]
    assert data["processes"] == 2


# annotate

LISTING = """\
    1: def price(items):
    1:     total = 0
    4:     for item in items:
    3:         if item > 100:
>>>>>>             total += item * 0.9
               else:
    3:             total += item
    1:     return total
       
       
    1: def refund(x):
           '''Give back.'''
>>>>>>     y = x
>>>>>>     return y
       
       
    1: price(range(3))
"""  # noqa: W293


def test_listings_are_those_of_trace(shop):
    """Beside the source, or in a folder, every byte is that of `trace`."""
    run("annotate")
    assert Path("shop.cover").read_text() == LISTING
    os.unlink("shop.cover")
    run("annotate", "-d", "new/covers")
    assert files("new/covers") == ["shop.cover"]
    assert Path("new/covers/shop.cover").read_text() == LISTING
    assert not os.path.exists("shop.cover")


@pytest.mark.parametrize(
    "source", [b"# coding: iso-8859-15\nx = '\xa4'\r\ny = 1", b"\xef\xbb\xbfx = '\xc3\xa4'\n\ty = 1\n"]
)
def test_listings_have_the_bytes_of_traces_own(source, tmp_path, capsys):
    """Encodings, byte order marks, line ends and a missing last newline are as in the listings of `trace`."""
    import trace

    source = source.replace(b"\n\ty", b"\ny")
    Path("m.py").write_bytes(source)
    path = str(tmp_path / "m.py")
    write(".instrument", "one", {(path, version_of(source)): {2: 7}})
    trace.CoverageResults({(path, 2): 7}).write_results(True, False, "theirs")
    run("annotate", "-d", "ours")
    [theirs] = files("theirs")
    assert Path("ours/m.cover").read_bytes() == Path("theirs", theirs).read_bytes()


def test_stale_and_partly_measured_sources_get_no_marks(shop, capsys):
    """A stale source has no listing; a source that was measured in part has no `>>>>>>`."""
    write(".instrument", "two", {}, not_measured={shop[0]: "in part"})
    run("annotate", "-d", "covers")
    assert ">>>>>>" not in Path("covers/shop.cover").read_text()
    Path("shop.py").write_text("changed")
    with pytest.raises(DataError, match="no listing"):
        run("annotate", "-d", "none")
    assert "Stale source" in capsys.readouterr().err
    assert not os.path.exists("none")


@pytest.mark.parametrize(
    ("folder", "reason"), [("shop.py", "it is no folder"), ("shop.py/more", "Not a directory"), ("", "No such file")]
)
def test_a_folder_for_listings_that_cannot_be_made_is_named(folder, reason, shop, capsys):
    """One message is enough for all listings."""
    with pytest.raises(DataError, match=f"no listings can be written to '{folder}': {reason}"):
        run("annotate", "-d", folder)
    assert capsys.readouterr().err == ""


def test_listings_never_leave_the_folder(tmp_path):
    """With any name of a source its listing is in the folder, and links there are not followed."""
    source = b"x = 1\n"
    for folder in ("deep/er", "...", "a b"):
        os.makedirs(folder)
        Path(folder, "m.py").write_bytes(source)
    Path("victim").write_text("precious")
    names = ["deep/er/../er/m.py", ".../m.py", "a b/m.py", "deep/er/m.py", "deep//er//m.py"]
    write(".instrument", "one", {(f"{tmp_path}/{name}", version_of(source)): {1: 1} for name in names})
    os.mkdir("covers")
    os.symlink("../victim", "covers/deep.er.m.cover")
    before = set(files("."))
    run("annotate", "-d", "covers")
    assert set(files(".")) == before
    assert Path("victim").read_text() == "precious"
    assert not os.path.islink("covers/deep.er.m.cover")
    assert len(files("covers")) == len(names)
    assert all(Path("covers", name).read_text() == "    1: x = 1\n" for name in files("covers"))


def test_a_listing_that_cannot_be_written_costs_no_other(shop, capsys):
    """It is named, the exit status is 1, and no partial file stays."""
    os.makedirs("covers/shop.cover")
    assert run("annotate", "-d", "covers") == 1
    assert "Cannot write 'covers/shop.cover'" in capsys.readouterr().err
    assert files("covers") == ["shop.cover"]


# erase


def test_erase_removes_data_files_and_nothing_else(capsys):
    """Only files that begin like data files are removed, newer and damaged ones included."""
    path = Path(write(".instrument", "one", {A: {1: 1}}).path)
    run("combine", "--keep")
    damaged = path.read_bytes()[:3000]
    Path(".instrument/damaged.sqlite").write_bytes(damaged)
    Path(".instrument/foreign.sqlite").write_text("precious")
    Path(".instrument/notes.txt").write_text("precious")
    capsys.readouterr()
    assert run("erase") == 0
    assert files(".instrument") == ["foreign.sqlite", "notes.txt"]
    assert "3 data files removed from .instrument" in capsys.readouterr().err


def test_erase_fails_for_a_named_file_that_stays(monkeypatch, capsys):
    """A named file that is no data file, or cannot be read, is named; the exit status is 1."""
    Path("shop.py").write_text(SHOP)
    assert run("erase", "shop.py") == 1
    assert "'shop.py' is left as it is: it is no data file of instrument" in capsys.readouterr().err
    path = write(".instrument", "one", {A: {1: 1}}).path

    def refuse(file, *_arguments):
        raise PermissionError(13, "Permission denied", file)

    with monkeypatch.context() as patch:
        patch.setattr("instrument.commands.erase.is_ours", refuse)
        assert run("erase", "--force") == 1
    name = os.path.relpath(path)
    assert f"{name!r} is left as it is: it cannot be read: Permission denied" in capsys.readouterr().err
    assert files(".instrument") == [os.path.basename(path)]


def test_a_fresh_run_says_how_to_remove_data_of_running_processes(capsys):
    """`run` has no --force: the message names the command that has it, and says that reports include these counts."""
    from instrument.commands.erase import begin_anew

    with Running() as pid:
        write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        begin_anew(".instrument")
    words = "(reports include them; `instrument erase --force` also removes them)"
    assert words in capsys.readouterr().err


def test_erase_spares_running_processes(capsys):
    """The file of a process that may still write stays, unless --force is given."""
    with Running() as pid:
        writer = write(".instrument", "one", {A: {1: 1}}, pid=pid, ended="")
        write(".instrument", "two", {A: {1: 1}})
        run("erase")
        assert files(".instrument") == [os.path.basename(writer.path)]
        assert "1 of processes that may still be running" in capsys.readouterr().err
        run("erase", "--force")
        assert files(".instrument") == []


def test_erase_of_a_folder_that_cannot_be_read_is_an_error(monkeypatch, capsys):
    """This holds for the default folder, too, which may as well not exist."""
    assert run("erase") == 0
    Path(".instrument").mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    for arguments in ((), (".instrument",)):
        capsys.readouterr()
        assert run("erase", *arguments) == 1
        assert "'.instrument' cannot be read: Permission denied" in capsys.readouterr().err


def test_erase_without_data_says_so(capsys):
    """An absent default folder is no error; an absent named folder is one."""
    assert run("erase") == 0
    assert run("erase", "nowhere") == 1
    assert "'nowhere' cannot be read" in capsys.readouterr().err


# diff


def test_diff_shows_what_ran_in_between(capsys):
    """The counts of B less those of A, by line; files and lines that did not run are left out."""
    write("a", "one", {A: {1: 5, 2: 1, 3: 1}, B: {1: 1}})
    write("b", "one", {A: {1: 9, 2: 1, 3: 2, 4: 7}, B: {1: 1}})
    assert run("diff", "a", "b") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["File", "Lines", "that", "ran", "Hits", "Hottest", "line"],
        ["-" * 45],
        ["/src/a.py", "3", "12", "4:", "7", "1,", "3-4"],
        ["-" * 45],
        ["Total", "3", "12"],
    ]
    run("diff", "a", "b", "--json")
    both = json.loads(capsys.readouterr().out)["files"]
    assert [file["lines"] for file in both] == [{"1": 4, "3": 1, "4": 7}, {}]


def test_diff_names_what_cannot_be_compared(capsys):
    """Another version, and a line that ran less often, are named and not counted."""
    write("a", "one", {A: {1: 5}, B: {1: 1}})
    write("b", "one", {A: {1: 3}, (B[0], "sha256:other"): {1: 100}})
    assert run("diff", "a", "b") == 1
    output = capsys.readouterr()
    assert output.out == "Nothing can be compared.\n"
    assert "Not counted: '/src/a.py': lines 1 ran less often in B" in output.err
    assert output.err.count("Not compared: '/src/b.py'") == 2


def test_snapshots_of_one_process_can_be_compared(capsys):
    """Two copies of the file of a running process are two states of it."""
    import shutil

    with Running() as pid:
        writer = write("data", "one", {A: {1: 5}}, pid=pid, ended="")
        shutil.copytree("data", "before")
        more(writer, {A: {1: 8}}, ended="")
        run("diff", "before", "data")
    assert "/src/a.py" in capsys.readouterr().out


# Words


@pytest.mark.parametrize(
    ("lines", "among", "words"),
    [
        ([], None, ""),
        ([3], None, "3"),
        ([3, 4, 5, 9], None, "3-5, 9"),
        ([3, 5, 9], [1, 3, 5, 7, 9], "3-5, 9"),
        ([3, 4], [3, 4], "3-4"),
        ([1, 2, 4, 5], [1, 2, 3, 4, 5], "1-2, 4-5"),
    ],
)
def test_ranges(lines, among, words):
    """A range spans the lines in between, unless one of those can run and is not wanted."""
    assert ranges(lines, among) == words


def test_texts_are_shown_on_one_line():
    """Characters that are not printable are shown as escapes."""
    assert shown("ä\x1b\n\u202e\ud800\\") == "ä\\x1b\\n\\u202e\\ud800\\"
    assert (number_of(1, "process"), number_of(2, "process"), number_of(0, "file")) == (
        "1 process",
        "2 processes",
        "0 files",
    )
    assert FilePatterns().match("/a/b.py")
    assert not FilePatterns(["/a/c*"]).match("/a/b.py")


def test_a_large_folder_is_reported_in_time(tmp_path, capsys):
    """A hundred thousand lines take seconds."""
    process_ = ProcessInfo.current()
    process_.pid = NO_SUCH_PID
    writer = Writer(".instrument", process_)
    source = b"x = 1\n" * 1000
    Path("m.py").write_bytes(source)
    writer.write(
        [
            ((f"{tmp_path}/{n}.py", version_of(source)), dict.fromkeys(range(1, 1001), (1, 1.0, 1.0)))
            for n in range(100)
        ],
        [],
        {},
        "exit",
    )
    begin = time.perf_counter()
    run("report")
    assert time.perf_counter() - begin < 20
    assert "100000" in capsys.readouterr().out


def test_functions_whose_calls_were_not_recorded_are_known_by_their_lines(capsys, tmp_path):
    """A function was used if a line of its body was; about a function on one line nothing is known."""
    source = b"def f():\n    return 1\n\ndef g():\n    return 2\n\ndef h(): return 3\n"
    Path("m.py").write_bytes(source)
    now = time.time()
    lines = dict.fromkeys((1, 2, 4, 7), (1, now, now))
    Writer(".instrument", process("one")).write([((str(tmp_path / "m.py"), version_of(source)), lines)], [], {}, "exit")
    run("report", "--unused-for", "1d")
    output = capsys.readouterr().out

    assert [line.strip() for line in output.splitlines() if "function" in line] == ["function g (line 4)  never"]


def test_an_unwritable_folder_for_copies_is_named(monkeypatch):
    """If no copy can be made, the message names the folder, without a traceback."""
    write(".instrument", "one", {A: {1: 1}})
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    for command in ("report", "combine", "annotate", "erase"):
        with pytest.raises(DataError, match="/nowhere"):
            run(command)
