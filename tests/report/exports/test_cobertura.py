"""Cobertura XML: documents are valid, numbers are read back, texts are texts, and large documents are split."""

import io
import re
from pathlib import Path

import pytest
from exporting import HOSTILE, WAYS, analysed, files
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pycobertura import Cobertura

from instrument.model.flow_counts import FlowCounts
from instrument.report.exports import cobertura
from instrument.report.exports.numbers import UNITS, Exported

# Many documents are made and read.
pytestmark = pytest.mark.slow

DTD = etree.DTD(io.StringIO(Path(__file__).with_name("coverage-04.dtd").read_text()))


def parsed(document):
    """Return the root of *document* after checking that it is valid, has no DOCTYPE, and no entities."""
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    assert DTD.validate(root), DTD.error_log
    assert root.getroottree().docinfo.doctype == ""
    assert not list(root.iter(etree.Entity))
    return root


def hits(element):
    """Return the hits of the lines of *element*, by number."""
    return {int(line.get("number")): int(line.get("hits")) for line in element.findall("lines/line")}


@given(files(), st.sampled_from([None, *UNITS]))
def test_all_numbers_are_read_back(file, unit):
    """Lines, bodies of functions and branches have their counts, and the sums are those of the lines."""
    exported = Exported([file], unit if file.flow else None)
    [numbers] = exported.files
    [document] = cobertura.write(exported)
    root = parsed(document)
    [element] = root.iter("class")
    ways = {each.line: each for each in numbers.ways or ()}

    assert element.get("filename") == file.path
    assert hits(element) == numbers.lines
    assert {method.get("name"): hits(method) for method in element.iter("method")} == {
        function.name: {line: numbers.lines[line] for line in function.body} for function in numbers.functions
    }
    for line in element.findall("lines/line"):
        each = ways.get(int(line.get("number")))
        assert line.get("branch") == ("true" if each else "false")
        if each:
            n, percent = len(each.targets), 100 * each.n_taken // len(each.targets)
            assert line.get("condition-coverage") == f"{percent}% ({each.n_taken}/{n})"
            assert [condition.get("coverage") for condition in line.iter("condition")] == [f"{percent}%"]
    assert (root.get("lines-valid"), root.get("lines-covered")) == (str(len(numbers.lines)), str(numbers.n_ran))
    assert (root.get("branches-valid"), root.get("branches-covered")) == (str(numbers.n_ways), str(numbers.n_ways_taken))


@given(files())
def test_pycobertura_reads_the_lines(file):
    """It finds the lines that ran. For a line with ways on, it reads only the share of these that were taken."""
    exported = Exported([file])
    [numbers] = exported.files
    [document] = cobertura.write(exported)
    report = Cobertura(document.decode().partition("\n")[2])
    expected = {line: "hit" if count else "miss" for line, count in numbers.lines.items()}
    for each in numbers.ways or ():
        expected[each.line] = "miss" if not each.n_taken else "partial" if each.n_taken < len(each.targets) else "hit"

    assert report.files() == [file.path]
    assert dict(report.line_statuses(file.path)) == expected


def test_the_rate_is_rounded_to_neither_end():
    """1 means all, and 0 means none."""
    assert [cobertura._rate(n, 10**9) for n in (0, 1, 10**9 // 2, 10**9 - 1, 10**9)] == ["0", "0.0001", "0.5", "0.9999", "1"]
    assert (cobertura._rate(0, 0), cobertura._branch_rate(0, 0), cobertura._branch_rate(1, 1)) == ("1", "0", "1")


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_texts(tmp_path, monkeypatch, text):
    """Names of folders, files and functions are attributes and no markup, with escapes for control characters."""
    name = re.sub("[/\0\ud800]", "", text)[:80]
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    file = analysed(folder / f"{name}.py", {1: 1}, {(text, 1): 3})
    file.is_complete = False
    [document] = cobertura.write(Exported([file]))
    root = parsed(document)

    assert [element.tag for element in root.iter(etree.Element) if element.tag not in ("line", "lines")] == [
        *("coverage", "sources", "source", "packages", "package", "classes", "class", "methods", "method")
    ]
    [method] = root.iter("method")
    printable = all(map(str.isprintable, text))
    assert (method.get("name") == text) == printable
    assert root.find("sources/source").text.endswith(name) or not name.isprintable()
    assert all(value.isprintable() for element in root.iter(etree.Element) for value in element.attrib.values())


@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1500, 20000))
def test_documents_are_split_below_the_limit(tmp_path_factory, n, limit):
    """Each document is valid and within the limit, or has one file; together they have each file once."""
    folder = tmp_path_factory.getbasetemp()
    flow = FlowCounts()
    flow.arcs = dict.fromkeys(WAYS, 1)
    path = folder / "a.py"
    file = analysed(path, {1: 1, 2: 2**63 - 1}, flow=flow)
    exported = Exported([file])
    numbers = exported.files[0]
    exported.files = []
    for number in range(n):
        each = type(numbers)(file, "events")
        each.path = f"p{number % 3}/m{number}.py"
        exported.files.append(each)
    documents = list(cobertura.write(exported, limit))
    roots = [parsed(document) for document in documents]

    names = [element.get("filename") for root in roots for element in root.iter("class")]
    assert sorted(names) == sorted(each.path for each in exported.files)
    for document, root in zip(documents, roots, strict=True):
        n_files = len(list(root.iter("class")))
        assert len(document) <= limit or n_files == 1
        assert root.get("lines-valid") == str(n_files * len(numbers.lines))
    packages = [[package.get("name") for package in root.iter("package")] for root in roots]
    assert all(len(set(names)) == len(names) for names in packages)
