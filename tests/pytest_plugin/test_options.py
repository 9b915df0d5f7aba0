"""The options of a counted run: reports and percentages that users write."""

import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.pytest_plugin.options import (
    FILES,
    KINDS,
    NONE,
    TERM,
    TERM_MISSING,
    Report,
    parse_reports,
    parse_share,
    read_options,
)

#: Names without separators and colons, which a path may contain.
NAMES = st.text("ab.-_é ", min_size=1).filter(lambda name: name.strip() == name and name not in ("-", ".", ".."))
REPORTS = st.one_of(
    st.sampled_from(KINDS), st.builds("{}:{}".format, st.sampled_from(sorted(FILES)), NAMES)
)


@given(st.lists(REPORTS))
def test_reports_are_those_behind_the_last_none_each_once(texts):
    """Their order is kept, and `term` is left out beside `term-missing`. Paths are absolute."""
    last = len(texts) - texts[::-1].index(NONE) if NONE in texts else 0
    kinds_and_names = [text.partition(":")[::2] for text in dict.fromkeys(texts[last:])]
    expected = [Report(kind, name and os.path.join("/somewhere", name)) for kind, name in kinds_and_names]
    if Report(TERM_MISSING) in expected:
        expected = [report for report in expected if report != Report(TERM)]

    assert parse_reports(texts, "/somewhere") == expected


def test_a_path_may_be_absolute_or_standard_output_and_may_have_colons():
    """`~` is the home folder."""
    texts = ["lcov:/a/b", "json:-", "html:c:d", "xml:../e"]

    assert [report.path for report in parse_reports(texts, "/x/y")] == ["/a/b", "-", "/x/y/c:d", "/x/e"]
    assert parse_reports(["xml:~/f"], "/x")[0].path == os.path.expanduser("~/f")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("htm", "no report 'htm'; the reports are term, term-missing, html"),
        ("", "no report ''"),
        ("term:file", "term is no file, so it takes no path"),
        ("none:x", "none is no file"),
        ("lcov:", "name a path after the colon, or leave the colon out"),
    ],
)
def test_a_report_that_cannot_be_made_is_a_usage_error(text, words):
    """The message names the option with its value."""
    with pytest.raises(pytest.UsageError, match=f"^--instrument-report={text}: ") as raised:
        parse_reports(["term", text], "/x")
    assert words in str(raised.value)


def test_a_module_of_another_version_is_a_usage_error():
    """It lacks an option that was added later. An editable install has a copy, which stays when the tree changes."""
    config = SimpleNamespace(known_args_namespace=SimpleNamespace(instrument_scope=[""]))

    with pytest.raises(pytest.UsageError, match="another version; install instrument again"):
        read_options(config)


@given(st.floats(0, 100).map(str) | st.integers(0, 100).map(str))
def test_a_percentage_stays_as_it_is_written(text):
    """The command that checks the bound reads it again, and names it in its message."""
    assert parse_share(text) == text


@given(st.text(min_size=1).filter(lambda text: not text.isdecimal()) | st.sampled_from(["-1", "100.5", "nan", "inf", "1e9"]))
def test_any_other_text_is_no_percentage(text):
    """Numbers outside of 0 to 100 are among them."""
    try:
        is_share = 0 <= float(text) <= 100
    except ValueError:
        is_share = False
    if is_share:
        assert parse_share(text) == text
        return
    with pytest.raises(pytest.UsageError, match="no percentage; say a number from 0 to 100"):
        parse_share(text)
