"""Samples of analysed files, for tests of live pages."""

import time
from pathlib import Path

from html_pages import HOSTILE, SOURCE, analysed, flow_of_source
from processes import A, write

from instrument.analysis.analysis import Analysis
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement
from instrument.report.html.writing import Choices, Report
from instrument.serving.rates import Counts, rates_between
from instrument.serving.samples import Sample, Samples


def report_on(*files):
    """Return the report on these FileAnalysis values; it is of a data folder in the working directory."""
    if not Path(".instrument").exists():
        write(".instrument", "one", {A: {1: 1}})
    with StoredMeasurement([".instrument"]) as stored:
        analysis = Analysis(stored, FilePatterns(include=["none"]))
    analysis.files = list(files)
    return Report(analysis, Choices("Title"), lambda _n, _total: None)


def sample_of(report, number=1, **changed):
    """Return a sample with this *report*, in which all functions and lines ran in the last second."""
    functions, lines = {}, {}
    for name, file in report.files().items():
        functions.update(((name, line, function), n) for (function, line), n in file.counts.functions.counts().items())
        lines.update(((name, line, ""), n) for line, n in file.counts.lines.counts().items())
    rates = rates_between(Counts(0.0, {}, {}), Counts(1.0, functions, lines))
    moments = ((1.0, rates.functions),)
    sample = Sample(number, time.monotonic(), 1.0, report, report.index(), functions, lines, rates, moments, 1, False, ())
    return sample._replace(**changed)


def samples_of(sample):
    """Return Samples with this newest *sample*."""
    samples = Samples()
    samples.put(sample)
    return samples


def hostile_report():
    """Return a report on a file whose path, source and function break out of HTML and JSON; and one with a flow."""
    path = HOSTILE.replace("/", "_") + ".py"
    return report_on(
        analysed(path, f"x = {HOSTILE!r}  # {HOSTILE}\n", {1: 2**62}, {(HOSTILE, 1): 3}),
        analysed("src/a.py", SOURCE, flow=flow_of_source()),
    )
