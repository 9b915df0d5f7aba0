"""Samples: each has the counts of its moment, and only changed files are read again."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import NO_SUCH_PID, process
from reporting import in_own_folder as in_own_folder

from instrument.analysis import analysis, kept_files
from instrument.analysis.patterns import FilePatterns
from instrument.analysis.source_file import version_of
from instrument.data.writer import Writer
from instrument.report.html.numbers import counts_of
from instrument.report.html.writing import Choices, Report
from instrument.serving import sampling
from instrument.serving.samples import Samples
from instrument.serving.sampling import Sampler

NAMES = ["a.py", "b.py", "c.py"]


class Running:
    """Files, a process that counts their lines, and a Sampler of its data."""

    def __init__(self, folder):
        self.folder, self.writer = Path(folder), Writer(str(Path(folder, "data")), process("one", NO_SUCH_PID))
        for name in NAMES:
            path = self.folder / name
            path.write_text("def f():\n    return 1\n\n\nf()\n")
            os.utime(path, ns=(10**18, 10**18))
        self.samples = Samples()
        self.sampler = Sampler(self.samples, str(self.folder / "data"), FilePatterns([], []), Choices(), only_imported=True)

    def count(self, name, line, count):
        """Have the process count a line, and a call."""
        path = self.folder / name
        key = str(path), version_of(path.read_bytes())
        now = 1e9 + count
        self.writer.write(
            {"lines": [(key, {line: (count, now, now)})], "functions": [(key, {("f", 1): (count, now, now)})]}, {}
        )

    def sample(self):
        """Return the next sample."""
        self.sampler.next()
        return self.samples.latest()


def counts(report):
    """Return all counts of functions and of lines of *report*, by the keys of a sample."""
    functions, lines = {}, {}
    for name, file in report.files().items():
        functions.update({(name, line, function): n for (function, line), n in file.counts.functions.counts().items()})
        lines.update({(name, line, ""): n for line, n in counts_of(file, report.unit).items()})
    return functions, lines


@pytest.fixture
def all_ages(monkeypatch):
    """Keep the analyses of sources of any age."""
    monkeypatch.setattr(kept_files, "_SHORTEST_AGE", -1)


STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([1, 2, 5]), st.integers(1, 9)), min_size=1, max_size=6)


@pytest.mark.slow
@given(STEPS)
@settings(max_examples=min(20, settings().max_examples), deadline=None)
def test_each_sample_has_the_counts_of_its_report(tmp_path_factory, steps):
    """Counts and index that are kept from the sample before are those of a new report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_files, "_SHORTEST_AGE", -1)
        running = Running(tmp_path_factory.mktemp("running"))
        for step in steps:
            running.count(*step)
            sample = running.sample()
            anew = Report(sample.report._analysis, Choices(), lambda _n, _total: None)
            assert (sample.functions, sample.lines) == counts(anew)
            assert sample.index_page.rows == anew.index().rows
            assert sample.index_page.functions == anew.index().functions
            assert sample.report.hottest == anew.hottest


def test_a_sample_analyses_the_changed_file_only(all_ages, tmp_path, monkeypatch):
    """After the first sample, which analyses all files."""
    analysed = []

    class Noted(analysis.FileAnalysis):
        def __init__(self, path, *arguments, **named):
            analysed.append(os.path.basename(path))
            super().__init__(path, *arguments, **named)

    monkeypatch.setattr(analysis, "FileAnalysis", Noted)
    running = Running(tmp_path)
    for name in NAMES:
        running.count(name, 1, 1)
    running.sample()
    running.count("b.py", 2, 1)
    sample = running.sample()
    assert analysed == [*NAMES, "b.py"]
    assert {key[1] for key in sample.rates.lines} == {2}
    assert {sample.report.files()[name].path for name, _, _ in sample.rates.lines} == {str(tmp_path / "b.py")}


def test_reading_takes_a_third_of_a_core_after_the_first_sample(all_ages, tmp_path, monkeypatch):
    """The first sample reads all sources, so the second one is taken soon all the same."""
    running = Running(tmp_path)
    cpu = iter(range(0, 10**6, 4))
    monkeypatch.setattr(sampling.time, "thread_time", lambda: float(next(cpu)))
    running.count("a.py", 1, 1)
    first = running.sampler.next()
    assert 0 < first <= sampling.INTERVAL
    running.count("a.py", 2, 2)
    second = running.sampler.next()
    n_asked = 3  # at the begin, for the sample, and at the end; four seconds pass each time
    assert 4 * (n_asked - 1) / sampling._SHARE - 5 < second <= 4 * (n_asked - 1) / sampling._SHARE
