"""The newest sample, and the lines of a file that have changed."""

from html_pages import SOURCE, analysed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder
from sampled import report_on, sample_of, samples_of

from instrument.serving.documents import file_document, index_document, state

LINES = (1, 2, 3, 4, 6, 9, 13)


def report_with(counts):
    """Return the report on SOURCE with these *counts* of LINES."""
    return report_on(analysed("a.py", SOURCE, dict(zip(LINES, counts)), {("price", 1): counts[1]}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.lists(st.lists(st.integers(1, 2**62), min_size=len(LINES), max_size=len(LINES)), min_size=1, max_size=4),
    st.integers(0, 5),
)
def test_changed_lines_bring_each_page_up_to_date(states, since):
    """A reader of sample *since* who takes the changed lines has all lines of the newest sample."""
    samples, seen = samples_of(sample_of(report_with(states[0]))), {}
    [name] = samples.latest().report.files()
    for number, counts in enumerate(states, 1):
        sample = sample_of(report_with(counts), number)
        samples.put(sample)
        page = samples.page(sample, name)
        if number <= since:
            seen = dict(enumerate(page.lines, 1))
    changed = samples.changed_lines(sample, name, min(since, number))
    seen.update((line.number, line) for line in changed)
    assert [seen[line.number] for line in page.lines] == page.lines
    assert samples.changed_lines(sample, name, number) == []


def test_only_lines_with_another_number_are_sent():
    """The document of a file has one changed line, and counts above 2**53 are exact."""
    samples = samples_of(sample_of(report_with([5, 1, 1, 1, 1, 1, 2**60 + 1])))
    first = samples.latest()
    [name] = first.report.files()
    whole = file_document(samples, first, name, 0)
    assert [line[:3] for line in whole["lines"]][-1] == [13, "r", str(2**60 + 1)]
    assert [line[1] for line in whole["lines"] if line[0] in (5, 10)] == ["m", "m"]
    second = sample_of(report_with([5, 1, 7, 1, 1, 1, 2**60 + 1]), 2)
    samples.put(second)
    assert [line[:3] for line in file_document(samples, second, name, 1)["lines"]] == [[3, "r", "7"]]
    assert len(file_document(samples, second, name, 0)["lines"]) == len(whole["lines"])
    assert file_document(samples, second, name, 1)["numbers"]["hottest"] == str(2**60 + 1)


def test_the_index_has_each_file_and_function():
    """Rows, functions and rates have the counts of the sample."""
    sample = sample_of(report_with([1, 8, 1, 1, 1, 1, 40]), running=2, notices=("one",))
    document = index_document(sample)
    assert (document["sample"], document["running"], document["notices"], document["is_final"]) == (1, 2, ["one"], False)
    [row] = document["rows"]
    assert (row["label"], row["hottest_line"], row["numbers"]["hits"]) == ("a.py", 13, "53")
    [function] = [each for each in document["functions"] if each["name"] == "price"]
    assert (function["numbers"]["calls"], function["numbers"]["cost"]) == ("8", None)
    [hot] = document["rates"]["functions"]
    assert hot[1:] == ["a.py:1", "price", 8.0, "8"]
    assert document["rates"]["lines"][0][1:] == ["a.py:13", "price(range(3))", 40.0, "40"]
    assert document["rates"]["plot"] == {"seconds": [0.0], "series": [{"key": f"{hot[0]} price", "rates": [8.0]}]}


def test_the_age_is_that_of_the_numbers():
    """The age grows with the time since the counts were written."""
    sample = sample_of(report_with([1] * 7))
    assert state(sample, "")["age"] < 5
    assert 100 <= state(sample._replace(moment=sample.moment - 100), "")["age"] < 110
