"""Helpers for tests of reports: analyses of files that are made of numbers, with and without the flow of control."""

from pathlib import Path

from instrument.analysis.file_analysis import FileAnalysis
from instrument.model.flow_counts import Arc, FlowCounts
from instrument.model.measurement import FileCounts

MODULE = ("<module>", 1)


def flow_of(arcs=None, *, instructions=None, executions=None):
    """Return flow counts with *arcs*, a dict from (line, target) to counts, all in the code of the module."""
    flow = FlowCounts()
    flow.arcs.update({Arc(MODULE, line, target): count for (line, target), count in (arcs or {}).items()})
    flow.instructions.update(instructions or {})
    flow.executions.update(executions or {})
    return flow


def analysed(n_lines, counts=None, *, name="m.py", flow=None, source=None, is_known=True):
    """Return the analysis of a file with *n_lines* lines that can run, where lines ran as *counts* say.

    Without *counts* the file was never imported. With a *source*, that is the text of the file. If it *is_known* not,
    the source is missing.
    """
    path = Path(name).absolute()
    if is_known:
        path.write_text("x = 1\n" * n_lines if source is None else source)
    lines = FileCounts()
    for line, count in (counts or {}).items():
        lines.lines.add(line, count, 1.0, 1.0)
    version = None if is_known else "sha256:0"
    return FileAnalysis(
        str(path), version, lines, measured_at=[] if counts is None else [str(path)], flow=flow
    )
