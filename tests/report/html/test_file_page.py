"""The model of the page of a file."""

import pytest
from html_pages import SOURCE, analysed, flow_of_source

from instrument.analysis.file_analysis import FileAnalysis
from instrument.model.flow_counts import Decision, Outcomes
from instrument.report.html import file_page as models
from instrument.report.html.file_page import file_page


def page_of(file, unit="events"):
    return file_page(file, "page", unit, 12_345_678)


def test_lines_without_flow(tmp_path):
    """Each line has its count, its state and its heat. Ways, conditions and cost are not known."""
    page = page_of(analysed(tmp_path / "a.py"))
    lines = {line.number: line for line in page.lines}

    assert [line.number for line in page.lines] == [*range(1, len(SOURCE.splitlines()) + 1)]
    assert {n: line.times for n, line in lines.items() if line.times} == {1: 1, 2: 1, 3: 4, 4: 3, 6: 1, 9: 1, 13: 12_345_678}
    assert [n for n, line in lines.items() if line.state == models.MISSING] == [5, 10]
    assert (lines[1].heat, lines[5].heat, lines[13].heat) == (1, 0, 8)
    assert not page.has_flow
    assert all((line.ways, line.conditions, line.cost) == ((), (), None) for line in page.lines)


def test_lines_with_flow(tmp_path):
    """Lines with several ways have the count of each, and conditions have columns in characters."""
    page = page_of(analysed(tmp_path / "a.py", flow=flow_of_source()))
    lines = {line.number: line for line in page.lines}

    assert lines[3].ways == ((4, 3), (6, 1))
    assert lines[4].ways == ((3, 3), (5, 0))
    assert (lines[3].state, lines[4].state, lines[5].state) == (models.RAN, models.PARTIAL, models.MISSING)
    assert lines[2].ways == ()
    assert [tuple(condition) for condition in lines[4].conditions] == [
        (12, "item > 100", ("true", 0), ("false", 3)),
        (27, "größe", ("true", 0), ("false", 0)),
    ]
    assert not lines[3].conditions[0].is_one_sided
    assert lines[4].conditions[0].is_one_sided
    assert lines[13].cost == 1_234_567


def test_an_exception_that_was_always_the_expected_one_is_no_gap(tmp_path):
    """No ✗ stands at the line. A clause that never met its exception is a gap."""
    flow = flow_of_source()
    flow.decisions[Decision(6, 11, 6, 16, "except", 0)] = Outcomes(5, 0)
    flow.decisions[Decision(9, 4, 9, 10, "except", 0)] = Outcomes(0, 5)
    lines = {line.number: line for line in page_of(analysed(tmp_path / "a.py", flow=flow)).lines}

    assert [lines[n].conditions[0].is_one_sided for n in (6, 9)] == [False, True]


def test_executions_take_the_place_of_events(tmp_path):
    """The unit decides about counts. Without executions, a notice says so."""
    page = page_of(analysed(tmp_path / "a.py", flow=flow_of_source()), "executions")
    assert page.lines[12].times == 1
    assert page.notices == []
    page = page_of(analysed(tmp_path / "b.py"), "executions")
    assert {line.times for line in page.lines} == {None}
    assert page.notices == ["Executions of lines are not known for this file, only line events."]


@pytest.mark.parametrize(
    ("decision", "place"),
    [
        (Decision(4, -1, -1, -1, "test", 0), (0, "")),
        (Decision(99, 0, 99, 1, "test", 0), (0, "")),
        (Decision(3, 4, 4, 10, "test", 0), (5, "for item in items:…")),
        (Decision(1, 20, 1, 25, "test", 0), (21, "\N{REPLACEMENT CHARACTER}ße=")),
    ],
)
def test_places_of_conditions(decision, place):
    """Columns may be unknown, beyond the source, over several lines, or within a character."""
    assert models._expression(decision, SOURCE.split("\n")) == place


def test_a_source_that_has_changed(tmp_path):
    """Its counts are shown by number of the line, without the text, which is another one."""
    file = analysed(tmp_path / "a.py")
    (tmp_path / "a.py").write_text("changed = 1\n")
    page = page_of(FileAnalysis(file.path, file.version, file.counts, measured_at=[file.path]))

    assert (len(page.lines), page.lines[12].times) == (13, 12_345_678)
    assert {line.markup for line in page.lines} == {""}
    assert not page.is_complete
    assert page.notices[0].startswith("The lines of this file are not known: it has changed since it was measured")


def test_a_file_that_was_never_imported(tmp_path):
    """All its lines are missing, and a notice says why."""
    (tmp_path / "a.py").write_text(SOURCE)
    page = page_of(FileAnalysis(str(tmp_path / "a.py"), None))

    assert page.notices == ["This file was never imported."]
    assert page.numbers.lines == page.numbers.missing == 9


def test_excluded_lines(tmp_path):
    """Lines that no report calls missing have a state of their own."""
    page = page_of(analysed(tmp_path / "a.py", "if x:  # pragma: no cover\n    y = 1\nz = 2\n", {3: 1}, {}))
    assert [line.state for line in page.lines] == [models.EXCLUDED, models.EXCLUDED, models.RAN]


def test_a_file_that_ran_in_part_uncounted(tmp_path):
    """No line is called missing."""
    path = tmp_path / "a.py"
    page = page_of(analysed(path, partly_measured=frozenset({str(path)})))
    assert models.MISSING not in {line.state for line in page.lines}
    assert page.notices == ["This file ran uncounted in part, so no line is called missing."]
