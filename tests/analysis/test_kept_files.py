"""A kept analysis equals a new analysis of the same data, and only changed files are analysed again."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import NO_SUCH_PID, process
from reporting import in_own_folder as in_own_folder

from instrument.analysis import kept_files
from instrument.analysis.analysis import Analysis
from instrument.analysis.kept_files import KeptFiles
from instrument.analysis.patterns import FilePatterns
from instrument.analysis.source_file import version_of
from instrument.data.query import StoredMeasurement
from instrument.data.writer import Writer
from instrument.report.exports import json_export

SOURCES = ["x = 1\ny = 2\n", "def f():\n    return 1\n\n\nf()\n", "if x:\n    pass\nz = 3\n"]
NAMES = ["a.py", "b.py", "c.py"]


@pytest.fixture
def all_ages(monkeypatch):
    """Keep the analyses of sources of any age: no test waits until its files are old."""
    monkeypatch.setattr(kept_files, "_SHORTEST_AGE", -1)


def analysed(kept=None, folder=".instrument"):
    """Return an Analysis of the data in *folder*, with the files that were never imported."""
    with StoredMeasurement([str(folder)]) as stored:
        analysis = Analysis(stored, FilePatterns([], []), kept=kept)
        analysis.add_never_imported()
    return analysis


def document(analysis):
    """Return all that reports say of *analysis*."""
    return json.loads(b"".join(json_export.write(analysis))), analysis.without_flow, analysis.not_compiled


class Project:
    """A folder with sources, and data of processes that ran them."""

    def __init__(self, folder):
        self.folder, self.data = Path(folder), Path(folder, "data")
        self.writers = {}
        for name, source in zip(NAMES, SOURCES):
            self.save(name, source)

    def save(self, name, source):
        """Write the source of a file, with a time that no earlier source had."""
        path = self.folder / name
        path.write_text(source)
        self.n_saved = getattr(self, "n_saved", 0) + 1
        os.utime(path, ns=(10**18 + self.n_saved, 10**18 + self.n_saved))

    def run(self, process_name, name, line, count):
        """Have a process count a line of a file, as the file is now."""
        path = self.folder / name
        if not path.exists():
            return
        if process_name not in self.writers:
            info = process(process_name, NO_SUCH_PID)
            info.cwd, info.scope = str(self.folder), str(self.folder)
            self.writers[process_name] = Writer(str(self.data), info)
        key = str(path), version_of(path.read_bytes())
        tallies = [(key, {line: (count, 100.0, 200.0)})]
        functions = [(key, {("f", 1): (count, 100.0, 200.0)})]
        self.writers[process_name].write({"lines": tallies, "functions": functions}, {}, "")

    def remove(self, process_name):
        """Remove the data of a process, if another process has some."""
        if process_name in self.writers and len(self.writers) > 1:
            Path(self.writers.pop(process_name).path).unlink()


PROCESS, NAME = st.sampled_from(["one", "two"]), st.sampled_from(NAMES)
STEPS = st.one_of(
    st.tuples(st.just("run"), PROCESS, NAME, st.integers(1, 3), st.sampled_from([1, 2, 2**62])),
    st.tuples(st.just("save"), NAME, st.sampled_from(SOURCES)),
    st.tuples(st.just("delete"), NAME),
    st.tuples(st.just("remove"), PROCESS),
)


@pytest.mark.slow
@given(st.lists(STEPS, max_size=8))
@settings(max_examples=min(40, settings().max_examples), deadline=None)
def test_kept_analyses_are_those_that_a_new_analysis_finds(steps):
    """Counts grow, sources change and vanish, and data of processes are removed."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(kept_files, "_SHORTEST_AGE", -1)
        patch.setattr(kept_files, "_SECONDS_OF_A_SEARCH", 0.0)
        project, kept = Project(folder), KeptFiles()
        project.run("one", "a.py", 1, 1)
        for kind, *arguments in [("save", "a.py", SOURCES[0]), *steps]:
            if kind == "delete":
                (project.folder / arguments[0]).unlink(missing_ok=True)
            else:
                getattr(project, kind)(*arguments)
            assert document(analysed(kept, project.data)) == document(analysed(folder=project.data))


def test_only_changed_files_are_analysed_again(all_ages, tmp_path):
    """A count that grows, and a source that changes, make one new analysis; a process more makes none."""
    project, kept = Project(tmp_path), KeptFiles()
    for name in NAMES[:2]:
        project.run("one", name, 1, 1)

    def changed(before):
        after = {Path(file.path).name: file for file in analysed(kept, project.data).files}
        names = {name for name in after if after[name] is not before.get(name)}
        return after, names

    files, names = changed({})
    assert names == {*NAMES}
    files, names = changed(files)
    assert names == set()
    project.run("one", "a.py", 2, 1)
    files, names = changed(files)
    assert names == {"a.py"}
    project.run("two", "b.py", 1, 1)
    files, names = changed(files)
    assert names == {"b.py"}
    project.save("c.py", "u = 0\n")
    files, names = changed(files)
    assert names == {"c.py"}
    project.remove("two")
    files, names = changed(files)
    assert names == {*NAMES}


def test_a_source_that_has_just_changed_is_read_again(tmp_path):
    """It may change once more within the resolution of its time."""
    project, kept = Project(tmp_path), KeptFiles()
    project.run("one", "a.py", 1, 1)
    first, second = analysed(kept, project.data), analysed(kept, project.data)
    assert not {*map(id, first.files)} & {*map(id, second.files)}


def test_files_that_an_analysis_lacks_are_forgotten(all_ages, tmp_path):
    """Their memory is free again after the next Analysis."""
    project, kept = Project(tmp_path), KeptFiles()
    project.run("one", "a.py", 1, 1)
    analysed(kept, project.data)
    assert len(kept._kept) == 3
    (tmp_path / "c.py").unlink()
    kept._search = None
    analysed(kept, project.data)
    analysed(kept, project.data)
    assert len(kept._kept) == 2


def test_a_plan_file_that_comes_later_is_used(all_ages, tmp_path):
    """Without it, it is not known how control went through the file."""
    import subprocess
    import sys

    (tmp_path / "m.py").write_text("x = 1\nif x:\n    y = 2\n")
    root = Path(kept_files.__file__).parents[2]
    command = [sys.executable, "-m", "instrument", "run", "--dir", str(tmp_path / "data"), "m.py"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, check=True, capture_output=True)
    kept, plans = KeptFiles(), tmp_path / "data" / "plans"
    [whole] = analysed(None, tmp_path / "data").files
    with StoredMeasurement([str(tmp_path / "data")]) as stored:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StoredMeasurement, "flow", lambda self, files: None)
            without = Analysis(stored, FilePatterns([], []), kept=kept)
        again = Analysis(stored, FilePatterns([], []), kept=kept)
        third = Analysis(stored, FilePatterns([], []), kept=kept)

    assert plans.exists()
    assert [file.flow for file in without.files] == [None]
    assert [file.flow for file in again.files] == [whole.flow]
    assert third.files[0] is again.files[0]
