"""The verdict as SARIF 2.1.0."""

import io
import json
import os
from urllib.parse import unquote, urlsplit

import jsonschema
from gate_verdicts import verdict, verdict_without_growth
from hypothesis import given
from hypothesis import strategies as st

from instrument.report.gate import sarif

MESSAGE = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
LOCATION = {
    "type": "object",
    "properties": {
        "physicalLocation": {
            "type": "object",
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "properties": {"uri": {"type": "string", "pattern": "^[!-~]+$"}, "uriBaseId": {"type": "string"}},
                    "required": ["uri"],
                    "additionalProperties": False,
                },
                "region": {
                    "type": "object",
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                    "required": ["startLine"],
                    "additionalProperties": False,
                },
            },
            "required": ["artifactLocation", "region"],
            "additionalProperties": False,
        },
        "message": MESSAGE,
    },
    "required": ["physicalLocation"],
    "additionalProperties": False,
}
#: The part of the standard's schema that documents of this package use, with the fields that code scanning needs.
SCHEMA = {
    "type": "object",
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "tool": {
                        "type": "object",
                        "properties": {
                            "driver": {
                                "type": "object",
                                "properties": {"name": {"type": "string"}, "version": {}, "rules": {"type": "array", "uniqueItems": True}},
                                "required": ["name", "rules"],
                                "additionalProperties": False,
                            }
                        },
                        "required": ["driver"],
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": MESSAGE,
                                "locations": {"type": "array", "items": LOCATION},
                                "relatedLocations": {"type": "array", "items": LOCATION},
                                "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                            "required": ["message", "ruleId"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["tool", "results"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["version", "runs"],
    "additionalProperties": False,
}


def results_of(a_verdict):
    """Return the results of the document, which has the shape that the standard demands."""
    out = io.StringIO()
    sarif.write(a_verdict, out)
    assert out.getvalue().isascii()
    document = json.loads(out.getvalue())
    jsonschema.validate(document, SCHEMA)
    [run] = document["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    return run["results"]


def test_results_point_at_the_lines_of_the_causes():
    """Each subject has results of its own."""
    results = results_of(verdict())
    lines = [(each["ruleId"], each["locations"][0]["physicalLocation"]["region"]["startLine"]) for each in results]
    assert lines == [("growth-total", 3), ("growth-total", 6), ("growth-test", 3), ("growth-function", 3)]
    assert results[2]["message"]["text"] == (
        "price: the line ran 3 → 9 times. So test t.py::test_price grew from 40 to 100 instructions (+150.0%), above "
        "--max-growth-per-test 5%."
    )
    assert len({json.dumps(each["partialFingerprints"]) for each in results}) == len(results)


def test_equal_runs_have_no_results():
    """The document is complete nevertheless."""
    assert results_of(verdict_without_growth()) == []


def test_tests_with_the_same_cause_share_a_result():
    """A change that many tests notice is one line to look at."""
    tests = {f"t.py::test_{n}": {1: n + 1} for n in range(9)}
    results = [each for each in results_of(verdict(tests=tests)) if each["ruleId"] == "growth-test"]
    assert len(results) == 1
    assert results[0]["message"]["text"].endswith("; and 4 more.")


def test_paths_in_the_working_directory_are_relative(tmp_path, monkeypatch):
    """The base of such addresses is the root of the sources."""
    monkeypatch.chdir(tmp_path)
    path = os.path.join(tmp_path, "a b", "sh#op.py")
    for result in results_of(verdict(path=path)):
        for location in (*result["locations"], *result["relatedLocations"]):
            assert location["physicalLocation"]["artifactLocation"] == {"uri": "a%20b/sh%23op.py", "uriBaseId": "%SRCROOT%"}


@given(st.text(), st.text(), st.text(st.characters(exclude_characters="/")), st.text())
def test_names_may_have_any_characters(name, test, path, text):
    """The address of a file leads back to its path."""
    results = results_of(verdict(name=f"f{name}", test=f"t{test}", path=f"/x/f{path}", text=text))
    assert results
    for result in results:
        address = urlsplit(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        assert unquote(address.path, errors="surrogatepass") == f"/x/f{path}"
        assert result["message"]["text"].isprintable()
