"""The summary in Markdown: a renderer of tables shows each name as it is."""

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from instrument.analysis.patterns import shown
from instrument.report.summary.markdown import code, markdown_table

#: Characters that have a meaning in Markdown, in HTML, or on GitHub.
NAMES = st.text(st.sampled_from("\\`|<>&*_[]()#@!~:$-+.\"' ab1é\u6f22/") | st.characters(codec="utf-8"), min_size=1)


class Table:
    """A summary with these *names*."""

    def __init__(self, names):
        self.head = ["File", "Lines", ""]
        self.rows = [[name, "1", "2-3"] for name in names]
        self.total = ["Total", "9", ""]


def cells(markdown):
    """Return the texts of the cells that a renderer makes of *markdown*, and the kinds of their parts, by row."""
    rows, kinds = [], set()
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and rows:
            rows[-1].append("".join(part.content for part in token.children if part.type != "html_inline"))
            kinds.update(part.type for part in token.children)
            kinds.update(part.content for part in token.children if part.type == "html_inline")
    return rows, kinds


@given(st.lists(NAMES.map(shown), min_size=1, max_size=3))
@example(["a|b"])
@example(["a\\|b"])
@example(["\\"])
@example([" "])
@example(["`a``b`"])
@example(["<img src=x>"])
@example(["@user", "#12", "[x](y)", "_init_.py", "https://example.org"])
def test_names_are_shown_as_they_are(names):
    """No name ends its cell or its row, and none becomes markup, a link or a mention."""
    rows, kinds = cells("\n".join(markdown_table(Table(names))))

    assert rows == [["File", "Lines", "Missing lines"], *([name, "1", "2-3"] for name in names), ["Total", "9", ""]]
    assert kinds <= {"text", "text_special", "code_inline", "strong_open", "strong_close", "html_inline"} | {
        "<code>",
        "</code>",
    }


def test_plain_names_stay_readable():
    """Underscores need no escape in code."""
    assert code("package/__init__.py") == "`package/__init__.py`"
    assert code("a|b") == "<code>a&#124;b</code>"
