"""The verdict as JSON."""

import io
import json
from itertools import chain

import jsonschema
import pytest
from gate_verdicts import verdict, verdict_without_growth
from hypothesis import given
from hypothesis import strategies as st

from instrument.report.gate import gate_json

SCHEMA = json.loads(gate_json.schema_text())


def document_of(a_verdict):
    """Return the document of *a_verdict*, which is as the schema says."""
    out = io.StringIO()
    gate_json.write(a_verdict, out)
    assert out.getvalue().isascii()
    document = json.loads(out.getvalue())
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    return document


def objects_in(schema):
    """Yield each part of *schema* that describes an object with fixed properties."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        yield schema
    yield from chain.from_iterable(map(objects_in, parts))


def closed(schema):
    """Return *schema* in a form that refuses properties without a description."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {key: closed(each) for key, each in schema.items()} | more


def test_the_document_has_all_numbers():
    """Bounds, the total, failures with causes, tests, functions with their lines."""
    document = document_of(verdict())
    assert (document["format"], document["passed"], document["unit"]) == (1, False, "instructions")
    assert document["bounds"] == {"total": 2.0, "test": 5.0, "function": 10.0, "floor": 0}
    assert document["total"] == {"before": 52, "after": 111}
    assert [(each["subject"], each["name"]) for each in document["failures"]] == [
        ("total", None), ("test", "t.py::test_price"), ("function", "price"),
    ]
    cause = document["failures"][1]["causes"][0]
    assert (cause["function"], cause["line"], cause["kind"], cause["growth"]) == ({"name": "price", "line": 1}, 3, "more often", 60)
    assert cause["times"] == {"before": 3, "after": 9}
    assert (document["new_tests"], document["gone_tests"]) == (["added"], ["gone"])
    functions = {each["function"]["name"]: each for each in document["functions"]}
    assert {name: each["state"] for name, each in functions.items()} == {
        "price": "both", "refund": "both", "old": "gone", "new": "new",
    }
    assert functions["price"]["lines"] == {"3": {"before": 30, "after": 90}}
    assert functions["old"]["gone_lines"] == {"7": {"before": 4, "after": 0}}


def test_equal_runs_have_nothing_to_say():
    """All lists are empty, and the gate is open."""
    document = document_of(verdict_without_growth())
    assert document["passed"]
    assert not any(document[key] for key in ("failures", "causes", "tests", "functions", "remarks", "unstable_lines"))


@given(st.text(), st.text())
def test_names_may_have_any_characters(name, test):
    """They come back as they were."""
    document = document_of(verdict(name=f"f{name}", test=f"t{test}"))
    assert [each["test"] for each in document["tests"]] == [f"t{test}"]
    assert f"f{name}" in {each["function"]["name"] for each in document["functions"]}


def test_the_schema_names_all_properties():
    """A document has no property that the schema lacks, and each one that it has is required."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert all({*each["required"]} == each["properties"].keys() for each in objects_in(SCHEMA))
    for each in (verdict(), verdict(unstable=[3], unstable_tests=["t"], notes=["A note."])):
        jsonschema.validate(document_of(each), closed(SCHEMA), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("key", ["total", "failures", "functions", "remarks"])
def test_the_schema_refuses_a_document_without_a_property(key):
    """So the tests above can fail."""
    document = document_of(verdict())
    del document[key]
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        jsonschema.validate(document, SCHEMA)
