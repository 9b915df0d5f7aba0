"""The JSON document: it fits its schema, all numbers are read back, and texts are texts."""

import copy
import functools
import json
import tempfile

import jsonschema
import pytest
from exporting import COUNTS, HOSTILE, SETTER, analysed, files
from hypothesis import given
from processes import NO_SUCH_PID, process
from reporting import damage, measured
from reporting import in_own_folder as in_own_folder

from instrument.analysis.analysis import Analysis
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement
from instrument.data.writer import Writer
from instrument.model.flow_counts import Decision, FlowCounts, FunctionFlow
from instrument.model.measurement import FACTS
from instrument.report import json_documents
from instrument.report.exports import json_export
from instrument.report.formats import Choices

# Many documents are made and checked.
pytestmark = pytest.mark.slow

SCHEMA = json.loads(json_export.schema_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@functools.cache
def analysis_of_one_process():
    """Return the analysis of a process that ran and counted nothing."""
    with tempfile.TemporaryDirectory() as folder:
        Writer(folder, process("one", NO_SUCH_PID)).write({}, {"/x.py": "a reason"}, "exit")
        with StoredMeasurement([folder]) as stored:
            return Analysis(stored, FilePatterns([], []))


def of(*files):
    """Return an analysis of these files."""
    analysis = copy.copy(analysis_of_one_process())
    analysis.files = list(files)
    return analysis


def document_of(analysis, *greatest):
    """Return the document of *analysis* after checking it against the schema."""
    document = json.loads(b"".join(json_export.write(analysis, *greatest)))
    VALIDATOR.validate(document)
    return document


def test_the_schema_is_valid():
    """Each property has a description."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"]["const"] == 1
    assert all("description" in each for each in SCHEMA["properties"].values())


def strict(schema):
    """Return *schema* with objects that have no other properties than those it describes, and the facts of a file."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: strict(each) for key, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "required" in schema:
        result["properties"] |= {fact.field: result["properties"].get(fact.field, {}) for fact in FACTS}
        result["additionalProperties"] = False
    return result


STRICT_VALIDATOR = jsonschema.Draft202012Validator(strict(SCHEMA))


@given(files())
def test_the_schema_describes_all_properties(file):
    """A property that is added to the document has to be added to the schema."""
    document = json.loads(b"".join(json_export.write(of(file))))

    assert STRICT_VALIDATOR.is_valid(document)
    document["files"][0]["surplus"] = 1
    assert not STRICT_VALIDATOR.is_valid(document)


def test_a_property_without_description_is_named(tmp_path):
    """The strict schema refuses it by its name."""
    document = json.loads(b"".join(json_export.write(of(analysed(tmp_path / "a.py", {1: 1})))))
    document["files"][0]["surplus"] = 1

    with pytest.raises(jsonschema.ValidationError, match="surplus"):
        STRICT_VALIDATOR.validate(document)


@given(files())
def test_all_numbers_are_read_back(file):
    """Lines, functions, branches, decisions, executions, instructions and flows have their counts."""
    document = document_of(of(file))
    [described] = document["files"]
    flow = file.flow

    assert {int(line): each["count"] for line, each in described["lines"].items()} == file.counts.lines.counts()
    assert {(each["name"], each["line"]): each["calls"] for each in described["functions"]} == {
        **file.uncalled(),
        **file.counts.functions.counts(),
    }
    if flow is None:
        assert described["flow"] is None
        assert document["totals"]["branches"] is None
        return
    found = FlowCounts()
    found.executions = {int(line): count for line, count in described["flow"]["executions"].items()}
    found.instructions = {int(line): count for line, count in described["flow"]["instructions"].items()}
    for each in described["flow"]["decisions"]:
        outcomes = each.pop("true"), each.pop("false")
        found.add_decision(Decision(**each), *outcomes)
    ids = file.source.function_ids()
    listed = {(each["name"], each["line"]): each["id"] for each in described["functions"]}
    assert listed == {key: each for key, each in ids.items() if key in listed}
    for each in described["flow"]["functions"]:
        assert each.pop("id") == ids[each["name"], each["line"]]
        found.add_function((each.pop("name"), each.pop("line")), FunctionFlow(**each))
    found.arcs = flow.arcs
    assert found == flow
    assert [
        ((branch["function"]["name"], branch["function"]["line"]), branch["line"], {way["to"] or 0: way["count"] for way in branch["ways"]})
        for branch in described["flow"]["branches"]
    ] == [(branch.function, branch.line, branch.arcs) for branch in file.branches]
    assert document["totals"]["branches"] == file.n_arcs
    assert document["totals"]["missing_branches"] == file.n_missing_arcs
    missing = [way for branch in described["flow"]["branches"] for way in branch["ways"] if way["missing"]]
    assert len(missing) == file.n_missing_arcs


@given(files(with_flow=True), COUNTS.filter(bool))
def test_counts_above_the_greatest_are_clipped_and_other_numbers_are_not(file, greatest):
    """Numbers of lines, columns and processes stay."""
    whole, clipped = document_of(of(file)), document_of(of(file), greatest)

    def compare(one, other, key=""):
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            for name in one:
                is_count = name in ("count", "hits", "calls", "true", "false", "returned", "yielded", "raised", "instructions", "executions")
                compare(one[name], other[name], name if is_count or (key and not isinstance(one[name], list)) else "")
        elif isinstance(one, list):
            assert len(one) == len(other)
            for each, its in zip(one, other):
                compare(each, its)
        else:
            assert other == (min(one, greatest) if key and type(one) is int else one)

    compare(whole, clipped)


def test_the_document_of_the_report_is_a_part(tmp_path):
    """Programs that read `report --format json` can read this document."""
    measured("m.py", "x = 1\n", {1: 1})
    damage()
    with StoredMeasurement([".instrument"]) as stored:
        analysis = Analysis(stored, FilePatterns([], []))
    old = json.loads(json.dumps(json_documents.document_of(analysis, Choices())))
    new = document_of(analysis)

    assert old["files"]
    assert old["skipped"]
    for each in new["files"]:
        del each["flow"]
    del new["totals"]["branches"], new["totals"]["missing_branches"]
    assert new == old


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_texts(tmp_path, text):
    """The document is ASCII, and has each name as it is."""
    (tmp_path / "a.py").write_text("x = 1\n")
    info = process("one", NO_SUCH_PID)
    Writer(".instrument", info).write(
        {"lines": [((f"/{text}", f"sha256:{text}"), {1: (1, 1.0, 1.0)})], "functions": [((f"/{text}", f"sha256:{text}"), {(text, 1): (2, 1.0, 1.0)})]},
        {text: text},
        "exit",
    )
    with StoredMeasurement([".instrument"]) as stored:
        analysis = Analysis(stored, FilePatterns([], []))
    data = b"".join(json_export.write(analysis))
    document = document_of(analysis)

    assert data.isascii()
    assert [each["path"] for each in document["files"]] == [f"/{text}"]
    assert [each["name"] for each in document["files"][0]["functions"]] == [text]
    assert document["not_measured"] == [{"path": text, "reason": text}]


def test_a_return_leads_to_no_line(tmp_path):
    """The target of a return is null."""
    flow = FlowCounts()
    flow.arcs = {(SETTER, 21, 0): 1, (SETTER, 21, 22): 2}
    [described] = document_of(of(analysed(tmp_path / "a.py", {21: 3}, flow=flow)))["files"]

    assert [way["to"] for way in described["flow"]["branches"][0]["ways"]] == [None, 22]
