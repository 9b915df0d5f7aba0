"""Reports in folders and in one file."""

import os
from array import array
from pathlib import Path

import pytest
from html_pages import FixedPatterns, analysed, flow_of_source, pages_in, read_page
from processes import A, write
from reporting import in_own_folder as in_own_folder

from instrument.analysis.analysis import Analysis
from instrument.analysis.contexts.by_file import PatternWork
from instrument.analysis.file_analysis import FileAnalysis
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement
from instrument.errors import ConfigError, DataError
from instrument.model.flow_counts import Arc
from instrument.report.html import writing
from instrument.report.html.writing import Choices, Report, require_libraries


def analysis_of(files):
    """Return the analysis of a process that ran, with these *files* in place of its own."""
    write(".instrument", "one", {A: {1: 1}})
    with StoredMeasurement([".instrument"]) as stored:
        analysis = Analysis(stored, FilePatterns(include=["none"]))
    analysis.files = [*files]
    return analysis


def report(*files, tests=None, **choices):
    return Report(analysis_of(files), Choices(**choices), lambda n, total: None, tests=tests)


def test_a_folder_has_a_page_for_each_file():
    """Links between pages lead to files of the folder, and documents have the numbers of the files."""
    files = [analysed("a.py", flow=flow_of_source()), analysed("b/c.py"), analysed("b/ä.py", "x = 1\n", {1: 7}, {})]
    assert report(*files).write_folder("pages") == os.path.join("pages", "index.html")
    pages, index = pages_in("pages"), read_page("pages/index.html")

    assert set(pages) == {file.path for file in files}
    for page in (index, *pages.values()):
        links = {attributes["href"].partition("#")[0] for tag, attributes in page.tags if tag == "a" and "href" in attributes}
        assert {link for link in links if link and not Path("pages", link).exists()} == set()
    for file in files:
        lines = {int(line): count for line, count in pages[file.path].documents[0]["lines"].items()}
        assert lines == file.counts.lines.counts()
    assert index.documents[0]["sums"]["hits"] == sum(file.hits for file in files)
    assert len(index.documents[0]["files"]) == 3


def test_a_single_file_has_the_same_documents():
    """It has the index, and a template for each page."""
    files = [analysed("a.py", flow=flow_of_source()), analysed("b.py")]
    report(*files).write_folder("pages")
    report(*files).write_file("all.html")
    single = read_page("all.html")

    assert single.documents[0] == read_page("pages/index.html").documents[0]
    assert {each["path"]: each for each in single.documents[1:]} == {path: page.documents[0] for path, page in pages_in("pages").items()}
    parts = {attributes["id"].removeprefix("page-") for tag, attributes in single.tags if tag == "template"}
    links = {attributes["href"][1:].partition(":")[0] for tag, attributes in single.tags if tag == "a" and "href" in attributes}
    assert len(parts) == 2
    assert links == {*parts, ""}


def test_pages_have_files_with_their_tests():
    """A file in which no context ran anything has none. Without tests, the folder has no trace of them."""
    pattern = PatternWork(("price", 1), 1, {2: 1}, array("I", [0]))
    tests = FixedPatterns(["t"], [], {"a.py": [pattern]})
    files = [analysed("a.py"), analysed("b.py", "x = 1\n", {1: 7}, {})]
    report(*files).write_folder("plain")
    report(*files, tests=tests).write_folder("pages")
    report(*files).write_file("plain.html")
    report(*files, tests=tests).write_file("all.html")

    more = set(os.listdir("pages")) - set(os.listdir("plain"))
    [name] = more - {"tests.js", "tests.css", "test-names.js"}
    assert len(more) == 4
    assert name.startswith("a_py-")
    assert Path("pages", name).read_text().startswith(f'instrument.addTests("{name}", "')
    assert Path("pages", "test-names.js").read_text().startswith('instrument.addTests("test-names.js", "')
    pages = {name: Path("plain", name).read_bytes() for name in os.listdir("plain")}
    assert not any(word in text for text in pages.values() for word in (b"tests.", b"test-names", b"data-tests", b"class=\"calls"))
    assert Path("plain.html").read_bytes().count(b"test-names") == 0
    assert Path("all.html").read_bytes().count(b"test-names") == 2
    [with_tests] = [page for page in pages_in("pages").values() if any("data-tests" in attributes for _, attributes in page.tags)]
    assert with_tests.documents[0]["path"] == files[0].path


def test_a_single_file_that_fails_leaves_the_old_one(monkeypatch):
    """The file is replaced as a whole."""
    Path("all.html").write_text("old")
    monkeypatch.setattr(writing, "file_page", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        report(analysed("a.py")).write_file("all.html")
    assert Path("all.html").read_text() == "old"
    assert sorted(os.listdir()) == [".instrument", "a.py", "all.html"]


@pytest.mark.parametrize(("path", "reason"), [("none/all.html", "No such file or directory"), (".", "it is a folder")])
def test_a_single_file_that_cannot_be_written_is_named(path, reason):
    with pytest.raises(DataError, match=f"cannot be written to '{path}': {reason}"):
        report(analysed("a.py")).write_file(path)


def test_covered_files_are_left_out():
    """A file without missing lines, and with each way taken, has no page on request."""
    covered = analysed("covered.py", "x = 1\n", {1: 7}, {})
    flow = flow_of_source()
    flow.arcs.update({Arc(("price", 1), 4, 5): 3, Arc(("price", 1), 4, 3): 0})
    one_way = analysed("one_way.py", lines=dict.fromkeys((1, 2, 3, 4, 5, 6, 9, 10, 13), 1), functions={}, flow=flow)
    assert not one_way.missing
    report(covered, one_way, skips_covered=True).write_folder("pages")

    assert set(pages_in("pages")) == {one_way.path}
    assert "1 file without missing code left out." in read_page("pages/index.html").text
    with pytest.raises(DataError, match="nothing is left to report: no file has missing lines"):
        report(covered, skips_covered=True)


def test_executions_need_flow():
    """Data without executions are refused, rather than shown as zeros."""
    with pytest.raises(DataError, match="these data have no executions of lines: use --unit events"):
        report(analysed("a.py"), unit="executions")
    report(analysed("a.py", flow=flow_of_source()), unit="executions").write_folder("pages")
    [page] = pages_in("pages").values()
    assert {line["id"]: line["data-count"] for line in page.with_class("l") if "data-count" in line}["L13"] == "1"


def test_unknown_ways_are_no_zeros():
    """A file without flow has dashes in the index. If only files that never ran have a flow, of zeros, it is left out."""
    Path("never.py").write_text("if x:\n    y = 1\n")
    never = FileAnalysis(os.path.abspath("never.py"), None, needs_flow=True)
    assert never.n_arcs == 2
    report(analysed("a.py"), never).write_folder("pages")
    assert "Not taken" not in read_page("pages/index.html").text
    report(analysed("a.py"), analysed("b.py", flow=flow_of_source())).write_folder("pages")
    assert "Not taken" in read_page("pages/index.html").text
    assert [each["title"] for _, each in read_page("pages/index.html").tags if each.get("title") == "not known"] == ["not known"]


def test_states_of_files():
    """The index says which files are no ordinary ones."""
    stale = analysed("stale.py")
    Path("stale.py").write_text("changed = 1\n")
    stale = FileAnalysis(stale.path, stale.version, stale.counts, measured_at=[stale.path])
    Path("never.py").write_text("x = 1\n")
    files = [analysed("a.py"), stale, FileAnalysis(os.path.abspath("never.py"), None)]
    files.append(analysed("part.py", partly_measured=frozenset({os.path.abspath("part.py")})))

    assert [writing._state(file) for file in files] == ["", "stale", "never imported", "incomplete"]
    report(*files).write_folder("pages")
    assert "1 remark about these counts" in read_page("pages/index.html").text


def test_libraries_that_are_missing_are_named(monkeypatch):
    """The extra has two of them."""
    require_libraries()
    monkeypatch.setattr(writing, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"the pages need jinja2 and markupsafe.*`pip install jinja2 markupsafe`"):
        require_libraries()


@pytest.mark.parametrize(("unit", "expected"), [(None, "1"), ("executions", "1"), ("events", "12345678")])
def test_executions_are_the_default_if_they_are_known(unit, expected):
    """A line of several statements counts its events in the other unit."""
    report(analysed("a.py", flow=flow_of_source()), unit=unit).write_folder("pages")
    [page] = pages_in("pages").values()

    assert {line["id"]: line["data-count"] for line in page.with_class("l") if "data-count" in line}["L13"] == expected


def test_events_are_the_default_if_executions_are_not_known_of_all_files():
    """Two units in one report would mislead."""
    report(analysed("a.py", flow=flow_of_source()), analysed("b.py")).write_folder("pages")

    counts = [{line["id"]: line["data-count"] for line in page.with_class("l") if "data-count" in line} for page in pages_in("pages").values()]
    assert [each["L13"] for each in counts] == ["12345678", "12345678"]
