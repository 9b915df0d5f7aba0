"""A report is text for terminals and HTML for front ends, and shows texts of cells as they are."""

import html
import re
import sys

from hypothesis import given
from hypothesis import strategies as st

from instrument.notebook.cell_report import CellReport
from instrument.notebook.listing import ListedLine, Section

# A colon follows counts only.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n:"))
sections = st.lists(
    st.builds(
        lambda title, lines: Section(
            title, (), tuple(ListedLine(n, text, times) for n, (text, times) in enumerate(lines, 1))
        ),
        texts,
        st.lists(st.tuples(texts, st.none() | st.integers(0, 10**12)), min_size=1),
    ),
    min_size=1,
)
EXAMPLE = Section(
    "In[1]",
    ("f", "g"),
    (ListedLine(1, "def f():", None), ListedLine(2, "\treturn 1", 1200), ListedLine(7, "x < 'y'", 0)),
)


@given(sections)
def test_the_text_has_each_line_with_its_count(sections):
    """Counts end in the same column. Nothing in a text controls the terminal."""
    text = CellReport(sections, [], {}).text()
    lines = text.split("\n")

    assert len(lines) == sum(1 + len(section.lines) for section in sections)
    assert all(character.isprintable() or character == "\n" for character in text)
    counts = [line.times for section in sections for line in section.lines if line.times is not None]
    matches = [match for line in lines if (match := re.match(r" *(\d+):", line))]
    assert [int(match[1]) for match in matches] == counts
    assert len({match.end() for match in matches}) <= 1


@given(sections)
def test_the_html_has_each_text_escaped(sections):
    """A front end shows the texts, and executes nothing in them."""
    page = CellReport(sections, [], {})._repr_html_()
    body = page.partition("</style>")[2]

    assert set(re.findall(r"<(/?\w+)", body)) <= {"div", "/div", "pre", "/pre", "span", "/span", "i", "/i"}
    assert body.count("<pre") == len(sections)
    plain = html.unescape(re.sub(r"<[^>]*>", "", body))
    visible = [line.text for section in sections for line in section.lines if line.text.isprintable()]
    assert all(text in plain for text in visible)


def test_an_example_in_text_and_in_colours():
    """A gap stands between lines that do not follow each other. The count 0 is red in a terminal."""
    report = CellReport([EXAMPLE], ["A remark."], {})

    assert report.text() == (
        "In[1]: f, g (1 of 2 lines ran, 1200 hits)\n      def f():\n1200:         return 1\n      …\n   0: x < 'y'\nA remark."
    )
    assert "\x1b[31m   0: \x1b[0mx < 'y'" in report.text(has_colours=True)


def test_an_example_in_html():
    """The count 0 is red, other counts are as warm as they are high, and lines that cannot run have no ground."""
    page = CellReport([EXAMPLE], ["<remark>"], {})._repr_html_()

    assert '<span style="background:rgba(220,40,40,.35)" title="it did not run">   0 </span> x &lt; ' in page
    assert '<span style="background:rgba(255,150,0,0.60)">1200 </span>' in page
    assert "<span>     </span> <i class=k>def</i>" in page
    assert "&lt;remark&gt;" in page


def test_colours_are_for_terminals_only(monkeypatch):
    """Captured output, and a terminal with NO_COLOR, get none."""
    written = []
    printer = type("Printer", (), {"text": lambda self, text: written.append("\x1b" in text)})()
    for is_terminal, no_color in ((False, ""), (True, "1"), (True, "")):
        monkeypatch.setenv("NO_COLOR", no_color)
        monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal, raising=False)
        CellReport([EXAMPLE], [], {})._repr_pretty_(printer, False)

    assert written == [False, False, True]
