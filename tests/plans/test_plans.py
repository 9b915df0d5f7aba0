"""Plan files are found beside the data, written once, checked by their names, and kept in sums."""

import contextlib
import os
import shutil
import sqlite3

import pytest
from data_files import add
from processes import connect, data_files
from recorded import Tree

from instrument.commands import combine, erase
from instrument.data.merge import Merge
from instrument.data.query import StoredMeasurement
from instrument.data.scratch import Scratch
from instrument.errors import DataError
from instrument.model.probe_counts import ProbeCounts
from instrument.plans.found_plans import Plans, is_name
from instrument.plans.plan_file import name_of
from instrument.plans.plan_folder import FOLDER, PlanFolder

PROGRAM = """
import sys
def f(n):
    return [i for i in range(n) if i % 2]
for n in range(int(sys.argv[1])):
    f(n)
"""


@pytest.fixture
def tree(tmp_path):
    """A tree of recorded processes."""
    return Tree(tmp_path)


def run(command, *paths, **options):
    """Execute *command* with these *paths* and *options*, and return its exit status."""
    import argparse

    return command.execute(argparse.Namespace(**{"paths": [str(path) for path in paths], "dir": None, **options}))


def flows(*paths):
    """Return how often each edge of `f` was taken in the sum of the data at *paths*, None if that is not known."""
    from instrument.flow.conservation import recover_flows

    with StoredMeasurement([str(path) for path in paths]) as stored:
        [file] = stored.files()
        probes = stored.probes(file)
        if probes is None:
            return None
        [(plans, counts)] = probes
        return [recover_flows(info.plan, seen).edges for _, info, seen in plans.observations(counts) if info.name == "f"]


@pytest.mark.parametrize("flush", [0, 0.01])
def test_processes_share_plan_files_and_their_counts_add(tree, flush):
    """Compact files and SQLite files have the same counts of probes. Their sum is that of one longer run."""
    for _ in range(3):
        tree.run(PROGRAM + "import time; time.sleep(0.3)\n" * bool(flush), "4", flush=flush)
    plans = sorted(os.listdir(tree.data / FOLDER))
    one, two, _three = tree.files()

    assert len(plans) == 1
    assert {path.suffix for path in tree.files()} == {".sqlite" if flush else ".compact"}
    [sum_of_all] = flows(tree.data)
    [of_one] = flows(one)
    assert sum_of_all == [3 * flow for flow in of_one]
    assert any(of_one)
    assert run(combine, tree.data, output=None, keep=False) == 0
    shutil.rmtree(tree.data / FOLDER)
    assert flows(tree.data) == [sum_of_all]
    assert not two.exists()


def test_a_compact_file_without_its_plans_is_named(tree, tmp_path):
    """The message says which folder to copy. Nothing of the file is added."""
    tree.run(PROGRAM, "4")
    [path] = tree.files()
    copy = shutil.copy(path, tmp_path / path.name)

    counts, [reason] = add([copy])
    assert counts == {}
    assert reason.startswith("its counts need the file 'plans/")
    assert "copy the folder 'plans'" in reason


def test_an_sqlite_file_without_its_plans_keeps_its_lines(tree, tmp_path):
    """Lines are in the file itself. The flow of control is not known then."""
    tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)
    [path] = tree.files()
    copy = shutil.copy(path, tmp_path / path.name)

    counts, refused = add([copy])
    assert (list(counts.values()), refused) == ([dict(tree.lines())], [])
    assert flows(copy) is None
    assert flows(copy, path) == flows(path)


def test_another_content_is_refused(tree):
    """A plan file is checked by its name, whoever has written it."""
    tree.run(PROGRAM, "4")
    [plan] = (tree.data / FOLDER).iterdir()
    plan.write_bytes(plan.read_bytes()[:-1] + b"?")

    _, [reason] = add(tree.files())
    assert reason == f"its plan {plan.stem!r} is damaged: the name of its content is another"


def test_a_forged_plan_in_a_sum_is_left_out(tree):
    """The lines of the sum remain."""
    tree.run(PROGRAM, "4")
    run(combine, tree.data, output=None, keep=False)
    [path] = tree.files()
    shutil.rmtree(tree.data / FOLDER)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE plan SET content = x'00'")
    connection.commit()
    connection.close()

    counts, refused = add([path])
    assert (list(counts.values()), refused) == ([dict(tree.lines())], [])
    assert flows(path) is None


def forged(tree, statement):
    """Return the path of the data file of a run, in which the SQL *statement* has changed values."""
    tree.run(PROGRAM, "4")
    run(combine, tree.data, output=None, keep=False)
    [path] = tree.files()
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_forged_counts_of_probes_are_refused(tree):
    """Each value is checked before it is added."""
    path = forged(tree, "UPDATE probe_counts SET counts = x'00'")
    assert add([path])[1] == ["it is damaged: the counts of probes are cut off"]


def test_forged_counts_spoil_no_other_file(tree):
    """Counts of other code under the name of a real plan are refused; the honest files are added."""
    for _ in range(3):
        tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)
    forged, *honest = tree.files()
    connection = sqlite3.connect(forged)
    connection.execute("UPDATE probe_counts SET counts = ?", (ProbeCounts(1).encoded(),))
    connection.commit()
    connection.close()
    expected = flows(*honest)
    with StoredMeasurement([str(tree.data)]) as stored:
        assert [path for path, _ in stored.refused] == [str(forged)]
        assert "counters, and the counts 1" in stored.refused[0][1]

    assert flows(tree.data) == expected


def test_erase_removes_plan_files_with_the_last_data_file(tree):
    """Files of other names stay."""
    tree.run(PROGRAM, "4")
    tree.run(PROGRAM, "5")
    one, _ = tree.files()
    (tree.data / FOLDER / "mine.txt").write_text("x")

    run(erase, one, force=False)
    run(erase, tree.data, force=False)
    assert len(os.listdir(tree.data / FOLDER)) == 2  # a process may be about to write a data file that needs it
    [plan] = (tree.data / FOLDER).glob("*.plan")
    os.utime(plan, (1, 1))
    run(erase, tree.data, force=False)
    assert os.listdir(tree.data / FOLDER) == ["mine.txt"]
    assert data_files(tree.data) == []


def test_a_plan_file_is_written_once_and_whole(tmp_path):
    """It takes the rights of the data folder, so that a process that changes its user can go on."""
    os.chmod(tmp_path, 0o770)
    content, made = b"content", []
    name = name_of(content)
    for _ in range(2):
        folder = PlanFolder(str(tmp_path))
        folder.save(name, lambda: made.append(1) or content)
        folder.save(name, lambda: made.append(1) or content)

    assert made == [1]
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [f"{name}.plan"]
    assert (tmp_path / FOLDER).stat().st_mode & 0o7777 == 0o770
    plans = Plans()
    plans.search_beside([str(tmp_path / "a.sqlite")])
    assert plans.content(name) == content


def test_a_plan_file_that_was_cut_off_is_written_again(tree):
    """A power failure may have left an empty file. The next run replaces it, and says nothing."""
    tree.run(PROGRAM, "4")
    [plan] = (tree.data / FOLDER).iterdir()
    content = plan.read_bytes()
    plan.write_bytes(b"")
    _, errors = tree.run(PROGRAM, "4")

    assert (plan.read_bytes(), errors) == (content, "")
    assert flows(tree.data) is not None


def test_processes_with_one_number_write_the_same_plan(tmp_path, monkeypatch):
    """In containers many processes have the number 1. None takes the temporary file of another for its own."""
    content = b"content"
    name = name_of(content)

    def content_of_the_first():
        PlanFolder(str(tmp_path)).save(name, lambda: content)
        return content

    PlanFolder(str(tmp_path)).save(name, content_of_the_first)

    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [f"{name}.plan"]


def test_an_old_plan_file_that_is_used_becomes_young(tmp_path):
    """So `erase` does not remove it while a process writes the data file that needs it."""
    content = b"content"
    folder, name = PlanFolder(str(tmp_path)), name_of(content)
    folder.save(name, lambda: content)
    path = tmp_path / FOLDER / f"{name}.plan"
    os.utime(path, (1, 1))
    folder.save(name, lambda: 1 // 0)

    assert path.stat().st_mtime > 1


def test_nothing_half_written_is_left(tmp_path):
    """An error of the content, or of the disk, leaves no file."""
    folder = PlanFolder(str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        folder.save("0" * 40, lambda: 1 // 0)

    assert os.listdir(tmp_path / FOLDER) == []


@pytest.mark.parametrize("name", ["", "../" * 10 + "aa", "A" * 40, "0" * 39, "0" * 39 + "\n", 5])
def test_a_name_leads_out_of_no_folder(tmp_path, name):
    """Only names of plan files are looked for."""
    assert not is_name(name)
    if isinstance(name, str):
        with pytest.raises(DataError, match="no name of a plan file"):
            Plans().content(name)


def test_counts_of_an_older_version_make_the_flow_unknown(tree):
    """A sum of old and new data has the lines of both, and no flow that would be too small."""
    from data_files import in_format

    tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)
    tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)
    old, new = tree.files()
    in_format(3, old)

    assert flows(new) is not None
    assert flows(old) is None
    assert flows(old, new) is None
    with Scratch() as scratch, Merge(os.path.join(scratch, "sum"), scratch) as merge:
        merge.add_all(map(str, (old, new)))
        assert merge.refused == []
        assert merge.n_processes == 2


def test_reports_know_how_control_went(tree):
    """Decisions, arcs, calls and costs come from the data of any process, added up."""
    for _ in range(2):
        tree.run(PROGRAM, "4")
    with StoredMeasurement([str(tree.data)]) as stored:
        flow = stored.flow(stored.files())

        assert not stored.without_flow
    [function] = [each for each in flow.functions if each[0] == "f"]
    # 0 + 1 + 2 + 3 elements in each process, of which 0 + 0 + 1 + 2 are odd or even; the filter is in line 4.
    [taken] = [outcomes for decision, outcomes in flow.decisions.items() if decision.kind == "test"]
    assert taken == (2 * 2, 2 * 4)
    assert (flow.functions[function].calls, flow.functions[function].returned) == (8, 8)
    assert flow.executions[4] == 8
    assert min(flow.instructions.values()) > 0
    assert {(arc.line, arc.target): n for arc, n in flow.arcs.items()}[5, 6] == 8


def test_the_reason_is_named_if_it_is_not_known_how_control_went(tree, tmp_path):
    """A report says why it has no branches."""
    tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)
    copy = shutil.copy(tree.files()[0], tmp_path / tree.files()[0].name)
    with StoredMeasurement([str(copy)]) as stored:
        assert stored.flow(stored.files()) is None
        [reason] = stored.without_flow.values()

    assert reason.startswith("its counts need the file 'plans/")


@pytest.mark.parametrize("flush", [0, 0.01])
def test_a_setting_leaves_the_counts_of_probes_out(tree, flush):
    """The data are smaller, need no folder of plans, and have the same lines."""
    source = PROGRAM + "import time; time.sleep(0.3)\n" * bool(flush)
    tree.run(source, "4", flush=flush, INSTRUMENT_LINES="1")
    [small] = tree.files()
    tree.run(source, "4", flush=flush, INSTRUMENT_LINES="")
    [other] = {*tree.files()} - {small}
    lines_of = []
    for path in (small, other):
        with contextlib.closing(connect(path)) as connection:
            lines_of.append(dict(connection.execute("SELECT line, count FROM line")))

    assert lines_of[0] == lines_of[1] != {}
    assert small.suffix == other.suffix
    assert flows(other) is not None
    assert flows(small) is None
    assert flows(small, other) is None
    shutil.rmtree(tree.data / FOLDER)
    with StoredMeasurement([str(small)]) as stored:
        assert stored.flow(stored.files()) is None
        [reason] = stored.without_flow.values()
    assert "INSTRUMENT_LINES" in reason


def test_a_plan_that_one_file_lacks_is_found_beside_another(tree, tmp_path):
    """The order of the files makes no difference: only counts without a plan leave the flow unknown."""
    tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)
    [path] = tree.files()
    alone = tmp_path / "alone" / path.name
    alone.parent.mkdir()
    shutil.copy(path, alone)
    other = tmp_path / "other"
    tree.data = other
    tree.run(PROGRAM + "import time; time.sleep(0.3)\n", "4", flush=0.01)

    assert flows(other, alone) is not None
    assert flows(other) is not None
    with StoredMeasurement([str(alone), str(other)]) as stored:
        assert stored.refused == []
        assert all(name not in stored.without_flow for name in stored.files())


def test_a_plan_file_that_another_process_writes_meanwhile_is_no_error(tmp_path, monkeypatch):
    """On Windows a file cannot be renamed over an existing one: the file of the other process serves."""
    from instrument.plans import plan_folder

    content = b"content"
    name = name_of(content)

    class System:
        def __getattr__(self, function):
            return getattr(os, function)

        def rename(self, old, new):
            with open(new, "wb") as file:
                file.write(content)
            raise FileExistsError(new)

    monkeypatch.setattr(plan_folder, "_system", System())
    PlanFolder(str(tmp_path)).save(name, lambda: content)

    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [f"{name}.plan"]


def test_a_plan_name_that_is_no_text_is_refused(tree):
    """Nothing of the file is added, and no error ends the report."""
    path = forged(tree, "UPDATE probe_counts SET plan = CAST(plan AS BLOB)")
    assert add([path])[1] == ["it holds a value that cannot be, in table 'probe_counts' (one of part, plan, counts)"]
