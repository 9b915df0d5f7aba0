"""The verdict as Markdown: a comment on a pull request."""

import io

from gate_verdicts import verdict, verdict_without_growth
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from instrument.report.gate import markdown

#: Characters that have a meaning in Markdown, in HTML, or on GitHub.
NAMES = st.text(st.sampled_from("\\`|<>&*_[]()#@!~:$-+.\"' ab1é\u6f22/\n\x1b") | st.characters(codec="utf-8"))
OF_HTML = {"<details>", "</details>", "<summary>", "</summary>", "<code>", "</code>"}


def output_of(a_verdict, top=10):
    out = io.StringIO()
    markdown.write(a_verdict, top, out)
    return out.getvalue()


def tokens_of(text):
    """Return all tokens of *text*, those of inline markup included."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [*tokens, *(part for token in tokens for part in token.children or ())]


def test_failures_and_their_causes_come_before_all_that_is_folded():
    """Each name is code. The same causes are not repeated."""
    text = output_of(verdict())
    before, *folded = text.split("<details>")
    assert before.startswith("### ❌ 3 growths above the bounds\n")
    assert "| test `t.py::test_price` | 40 | 100 | +150.0% |" in before
    assert "1. `/src/shop.py:3 price`: the line ran 3 → 9 times, 60 more instructions" in before
    assert "Causes for test `t.py::test_price`, function `price`:" in before
    titles = [part.partition("<summary>")[2].partition("</summary>")[0] for part in folded]
    assert titles == ["Tests that grew: 1", "Functions that grew: 2", "Functions that became less: 2", "About these numbers"]
    assert "`Not compared: 1 test that only HEAD has: added`" in folded[-1]


def test_equal_runs_have_a_short_comment():
    """It says that nothing grew above a bound."""
    text = output_of(verdict_without_growth())
    assert text.startswith("### ✅ No growth above the bounds\n\nTotal: 10 → 10 instructions (0%).\n")
    assert "Causes" not in text


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_name_becomes_markup(name, test, path, text):
    """No link, no mention, no HTML and no row of a table comes from a name, a path or a source text."""
    plain = tokens_of(output_of(verdict()))
    hostile = tokens_of(output_of(verdict(name=f"f{name}", test=f"t{test}", path=f"/{path}", text=text or "x")))
    allowed = {token.type for token in plain} | {"html_inline", "text_special"}
    assert {token.type for token in hostile} <= allowed
    assert {token.content for token in hostile if token.type == "html_inline"} <= OF_HTML
    assert sum(token.type == "tr_open" for token in hostile) == sum(token.type == "tr_open" for token in plain)
    texts = [token.content for token in hostile if token.type == "text"]
    assert not any("@user" in each for each in texts)
