"""The colours of sources."""

import html
import re
import time

import pytest
from html_pages import HOSTILE, analysed
from hypothesis import given
from hypothesis import strategies as st

from instrument.report.html import source_markup
from instrument.report.html.source_markup import marked_lines, source_text

#: Pieces of sources, that make sense or not.
PIECES = st.sampled_from(
    ["def ", "f", "(", ")", ":", "\n", "    ", "'", '"""', "f'{x!r:>{y}}'", "#", " é", "\t", "\\\n", "@a.b\n", "1e5", "if ", "<b>", "&lt;", "match x:\n"]
)


def without_tags(line):
    """Return the text that a browser shows for the HTML text *line*."""
    return html.unescape(re.sub(r"</?i[^>]*>", "", line))


@given(st.one_of(st.lists(PIECES).map("".join), st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]))))
def test_the_text_stays_the_same(text):
    """Whatever the source is, its lines are those of the page."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()

    assert [without_tags(line) for line in marked_lines(text)] == [line if line.isprintable() else without_tags(source_markup._escaped(line)) for line in lines]


@given(st.text())
def test_nothing_breaks_out(text):
    """The only elements are those of tokens."""
    for line in marked_lines(text.replace("\r", "\n")):
        assert not re.sub(r"<i class=[a-z]>|</i>", "", line).count("<")
        assert "\u202e" not in line


def test_unseen_characters_are_named():
    """Characters that change the order of others, or that are not shown, are given by their numbers."""
    assert marked_lines("x = '\u202e\x00'\n")[0].count("⟨U+202E⟩") == 1
    assert "⟨U+0000⟩" in marked_lines("x = '\u202e\x00'\n")[0]
    assert "\t" in marked_lines("if x:\n\ty\n")[1]


@pytest.mark.parametrize(
    ("source", "marked"),
    [
        ("def f(): return None", "<i class=k>def</i> <i class=f>f</i>(): <i class=k>return</i> <i class=k>None</i>"),
        ("x.print(print, 1) # é", "x.print(<i class=b>print</i>, <i class=n>1</i>) <i class=c># é</i>"),
        ("@a.b(1)\ndef f(): 0", "<i class=d>@</i><i class=d>a</i><i class=d>.</i><i class=d>b</i>(<i class=n>1</i>)"),
        ("x = 'é' + y", "x = <i class=s>&#x27;é&#x27;</i> + y"),
        ("match x:\n    case _: 0", "<i class=k>match</i> x:"),
        ("match = x", "match = x"),
        ("type X = int", "<i class=k>type</i> X = <i class=b>int</i>"),
        ("type(x)", "<i class=b>type</i>(x)"),
        ("x = = (\n", "x = = ("),
    ],
)
def test_classes_of_tokens(source, marked):
    """Keywords, builtins, names that are defined, texts, numbers, comments and decorators have classes."""
    assert marked_lines(source)[0] == marked


def test_a_text_over_many_lines_is_coloured_in_each():
    """An element never spans lines."""
    assert marked_lines('x = """a\nb\nc""" + y') == [
        "x = <i class=s>&quot;&quot;&quot;a</i>",
        "<i class=s>b</i>",
        "<i class=s>c&quot;&quot;&quot;</i> + y",
    ]


def test_a_source_has_the_text_of_its_coding(tmp_path):
    """A coding, a byte order mark, and all ends of lines are read as Python reads them."""
    file = analysed(tmp_path / "a.py", "x = 1\r\ny = 2\rz = 3\n")
    assert source_text(file.source) == "x = 1\ny = 2\nz = 3\n"
    file.source.data = b"# coding: iso-8859-15\nx = '\xa4'\n"
    assert source_text(file.source) == "# coding: iso-8859-15\nx = '€'\n"
    file.source.data = b"\xef\xbb\xbfx = '\xff'\n"
    assert source_text(file.source) == "x = '\N{REPLACEMENT CHARACTER}'\n"


@pytest.mark.slow
def test_a_long_source_is_coloured_in_no_time():
    """10,000 lines take some 0.1 s, and 1 s on 3.11, where the tokens are made in Python. A busy machine takes longer."""
    text = "def f(x): return [x + 1, 'text', None]  # a comment\n" * 10_000
    started = time.process_time()
    assert len(marked_lines(text)) == 10_000
    assert time.process_time() - started < 5


def test_hostile_source():
    """A source that closes elements stays text."""
    [line] = marked_lines(f"# {HOSTILE}")
    assert "<script" not in line
    assert "onerror=alert(1)&gt;" in line
