"""The documents of pages have all numbers of the analysis."""

import json

from html_pages import analysed, flow_of_source

from instrument.model.flow_counts import Arc, Decision, FlowCounts, FunctionFlow, Outcomes
from instrument.report.html.document import file_document


def flow_in(document):
    """Return the FlowCounts of the *document* of a flow, which was read from JSON."""
    flow = FlowCounts()
    flow.executions = {int(line): count for line, count in document["executions"].items()}
    flow.instructions = {int(line): count for line, count in document["instructions"].items()}
    flow.decisions = {Decision(*each[:6]): Outcomes(*each[6:]) for each in document["decisions"]}
    flow.arcs = {Arc((name, first), line, target): count for name, first, line, target, count in document["arcs"]}
    flow.functions = {(name, first): FunctionFlow(*counts) for name, first, *counts in document["functions"]}
    return flow


def test_all_numbers_are_read_back(tmp_path):
    """A document that went through JSON has the lines, the functions and the flow."""
    file = analysed(tmp_path / "a.py", flow=flow_of_source())
    document = json.loads(json.dumps(file_document(file)))

    assert {int(line): count for line, count in document["lines"].items()} == file.counts.lines.counts()
    assert {(name, line): n for name, line, n in document["functions"]} == file.counts.functions.counts()
    assert (document["missing"], set(document["executable"])) == (file.missing, set(file.executable))
    assert (document["path"], document["version"]) == (file.path, file.version)
    assert flow_in(document["flow"]) == file.flow


def test_lines_that_are_not_known_are_null(tmp_path):
    """A stale source has counts, and no missing lines."""
    file = analysed(tmp_path / "a.py")
    (tmp_path / "a.py").write_text("changed = 1\n")
    stale = type(file)(file.path, file.version, file.counts, measured_at=[file.path])
    document = file_document(stale)

    assert (document["source"], document["missing"], document["executable"]) == ("stale", None, None)
    assert document["lines"] == file_document(file)["lines"]
