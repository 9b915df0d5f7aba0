"""The packed tests of a file have all counts, in letters that need no escape."""

import base64
import json
import re
import zlib
from array import array
from collections import Counter

from html_pages import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.contexts.by_file import PatternWork
from instrument.report.html.packed_tests import UNKNOWN, ContextNames, packed_names, packed_patterns
from instrument.report.text import shown

N_CONTEXTS = 400

counts = st.one_of(st.integers(1, 200), st.integers(1, 2**63 - 1))
patterns = st.lists(
    st.builds(
        PatternWork,
        st.tuples(st.sampled_from(["f", "Größe.<locals>.f", HOSTILE, "\ud800"]), st.integers(0, 500)),
        st.one_of(st.just(0), counts),
        st.dictionaries(st.integers(1, 1000), counts, max_size=6),
        st.lists(st.integers(0, N_CONTEXTS - 1), min_size=1, max_size=8).map(lambda each: array("I", sorted(each))),
    ),
    max_size=6,
)


def unpacked(text):
    """Return the functions in *text*: name, first line, lines, and entries, counts and contexts of each pattern."""
    data = zlib.decompress(base64.b64decode(text))
    at, functions = 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def sums(n):
        total, found = 0, []
        for _ in range(n):
            total += number()
            found.append(total)
        return found

    while at < len(data):
        length = number()
        name, at = data[at : at + length].decode(), at + length
        first_line, lines = number(), sums(number())
        heads = [(number(), [number() for _ in lines], number()) for _ in range(number())]
        functions.append((name, first_line, lines, [(entered, of_lines, sums(n)) for entered, of_lines, n in heads]))
    return functions


def sums_of(packed):
    """Return how often each context ran each line, and entered each function, according to *packed* functions."""
    ran, entered = Counter(), Counter()
    for name, first_line, lines, of_function in packed:
        for n_entered, of_lines, contexts in of_function:
            for context in contexts:
                entered[name, first_line, context] += n_entered
                for line, n in zip(lines, of_lines, strict=True):
                    ran[line, context] += n
    return {key: n for key, n in ran.items() if n}, {key: n for key, n in entered.items() if n}


@given(patterns, st.dictionaries(st.integers(0, 1000), counts, max_size=3))
def test_packed_patterns_have_all_counts(given_patterns, more):
    """Each context has its counts, and the rest of a line is that of the context for unknown tests."""
    expected_lines, expected_entries, whole = Counter(), Counter(), Counter()
    for pattern in given_patterns:
        for context in pattern.contexts:
            expected_entries[shown(pattern.function[0]), pattern.function[1], context] += pattern.entered
            for line, n in pattern.lines.items():
                expected_lines[line, context] += n
                whole[line] += n
    whole.update(more)
    expected_lines.update({(line, N_CONTEXTS): n for line, n in more.items() if line})
    text = packed_patterns(given_patterns, whole, N_CONTEXTS)

    if not given_patterns:
        assert text == ""
        return
    assert re.fullmatch("[A-Za-z0-9+/=]+", text)
    lines, entries = sums_of(unpacked(text))
    assert lines == dict(expected_lines)
    assert entries == {key: n for key, n in expected_entries.items() if n}


@given(st.lists(st.text() | st.just(HOSTILE), unique=True), st.lists(st.text(), unique=True))
def test_packed_names_are_shown_as_other_reports_show_them(tests, others):
    """No character that controls a terminal or the direction of text arrives in a page."""
    names = ContextNames(tests, others)
    text = packed_names(names)

    assert re.fullmatch("[A-Za-z0-9+/=]+", text)
    document = json.loads(zlib.decompress(base64.b64decode(text)))
    assert document["tests"] == [*map(shown, tests)]
    assert document["others"] == [*(shown(name) or "other code" for name in others), UNKNOWN]
    assert all(name.isprintable() for name in document["tests"])
    assert names.unknown == 3 * len(tests) + document["others"].index(UNKNOWN, len(others))


def test_many_tests_take_few_bytes():
    """1,000 tests that run 300 functions of ten lines each, mostly in the same ways, take less than 20 kB."""
    given_patterns = [
        PatternWork(
            (f"function_{number}", 12 * number + 1),
            1,
            {12 * number + 1 + line: 1 + (line + way) % 5 for line in range(10)},
            array("I", [test for test in range(1000) if (test // (number % 50 + 1)) % 7 == way]),
        )
        for number in range(300)
        for way in range(7)
    ]

    assert len(packed_patterns(given_patterns, {}, N_CONTEXTS)) < 20_000
