"""Pages: everything in them is escaped, and their colours differ for all eyes."""

import itertools
import re
from importlib import resources

import pytest
from html_pages import HOSTILE, SOURCE, Page, analysed, flow_of_source

from instrument.report.html.file_page import file_page
from instrument.report.html.function_rows import function_rows
from instrument.report.html.index_page import FileEntry, Functions, index_page
from instrument.report.html.numbers import numbers_of
from instrument.report.html.rendering import About, Renderer
from instrument.report.html.short_numbers import N_LEVELS

STYLE = (resources.files("instrument.report.html") / "static" / "report.css").read_text(encoding="utf-8")


def rendered(file, title="Title", label=None, tests="", test_names=""):
    """Return the page of *file*, the index, and the report in one file; *tests* and *test_names* are packed texts."""
    renderer = Renderer(About(title, "events", 12_345_678, "2026-01-01"), test_names=test_names)
    page = file_page(file, "page-0123", "events", 12_345_678)._replace(tests=tests)
    if label is not None:
        page = page._replace(label=label, notices=[label])
    functions = Functions()
    functions.add(function_rows(file, page.name, page.label))
    entry = FileEntry(page.name, page.label, numbers_of(file, "events"), file.is_complete, "stale", 3, file.flow is not None)
    index = index_page([entry], functions, has_flow=page.has_flow, facts=[page.label], remarks=[page.label])
    single = "".join(renderer.single(index, [(page, "", "page-4567")]))
    return [Page(text) for text in (renderer.file(page, "", "page-4567"), renderer.index(index), single)]


@pytest.mark.parametrize("has_flow", [False, True])
def test_nothing_of_the_program_breaks_out(tmp_path, has_flow):
    """Paths, names, sources, remarks and titles are text: a hostile report has the elements of a harmless one."""
    flow = flow_of_source() if has_flow else None
    functions = {("price", 1): 1, ("name", 3): 1}
    source = SOURCE.replace("return total", f"return 'x'  # {'x' * len(HOSTILE)}")
    harmless = rendered(analysed(tmp_path / "a.py", source, functions=functions, flow=flow), "x", re.sub("[^/]", "x", HOSTILE))
    source = SOURCE.replace("return total", f"return 'x'  # {HOSTILE}")
    functions = {("price", 1): 1, (HOSTILE, 3): 1}
    hostile = rendered(analysed(tmp_path / "b.py", source, functions=functions, flow=flow), HOSTILE, HOSTILE)

    for good, bad in zip(harmless, hostile, strict=True):
        assert [(tag, sorted(attributes)) for tag, attributes in bad.tags] == [(tag, sorted(attributes)) for tag, attributes in good.tags]
        assert HOSTILE in bad.text
        assert "{{ 7 * 7 }}" in bad.text
        links = [[attributes.get(key) for _, attributes in page.tags for key in ("href", "src")] for page in (good, bad)]
        assert links[0] == links[1]
    assert any(name == HOSTILE for name, *_ in hostile[0].documents[0]["functions"])


def test_pages_load_nothing_from_elsewhere(tmp_path):
    """The policy allows the files of the folder, or the elements of the one file, and no address has a scheme."""
    for n, page in enumerate(rendered(analysed(tmp_path / "a.py", flow=flow_of_source()))):
        [policy] = [attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        for tag, attributes in page.tags:
            assert not attributes.keys() & {"style", "onclick", "onload"}
            for key in ("href", "src"):
                assert re.fullmatch(r"(#|[\w.-]+(#L\d+)?|#[\w:]+)", attributes.get(key) or "#"), (tag, attributes)
        assert ("sha256-" in policy) == (n == 2)
    assert "@import" not in STYLE
    assert "url(" not in STYLE


def test_pages_with_tests_load_nothing_from_elsewhere(tmp_path):
    """They have two more files of the folder, or a longer script, which the policy allows by its hash."""
    pages = rendered(analysed(tmp_path / "a.py", flow=flow_of_source()), tests="AAAA", test_names="BBBB")
    for n, page in enumerate(pages):
        scripts = [attributes["src"] for tag, attributes in page.tags if tag == "script" and "src" in attributes]
        assert scripts == ([] if n == 2 else ["report.js", "tests.js"])
        [policy] = [attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy"]
        assert policy.count("sha256-") == (2 if n == 2 else 0)
        assert "unsafe" not in policy
    main = [attributes for page in pages for tag, attributes in page.tags if tag == "main" and "data-tests" in attributes]
    assert [(each["data-tests"], each["data-names"]) for each in main] == [("page-0123.tests.js", "test-names.js"), ("tests-0123", "test-names")]
    texts = {attributes["id"] for tag, attributes in pages[2].tags if attributes.get("type") == "text/plain"}
    assert texts == {"tests-0123", "test-names"}


def test_lines_are_no_longer_with_tests(tmp_path):
    """A page with tests has the same bytes for each line."""
    file = analysed(tmp_path / "a.py", flow=flow_of_source())
    lines = [[tag for tag in page.tags if (tag[1].get("id") or "").startswith("L")] for page in rendered(file)]
    with_tests = [[tag for tag in page.tags if (tag[1].get("id") or "").startswith("L")] for page in rendered(file, tests="AAAA", test_names="BBBB")]

    assert lines == with_tests
    assert lines[0]
    pages = [Renderer(About("", "events", 9, ""), test_names=names).file(file_page(file, "page-0123", "events", 9), "", "") for names in ("", "BBBB")]
    listings = [page[page.index('<div class="listing') : page.index("</main>")] for page in pages]
    assert listings[0] == listings[1]


def test_numbers_of_lines_can_be_addressed(tmp_path):
    """A script finds the count, the ways and the cost of a line by its number."""
    page, *_ = rendered(analysed(tmp_path / "a.py", flow=flow_of_source()))
    lines = {attributes["id"]: attributes for attributes in page.with_class("l")}

    assert {name: attributes.get("data-count") for name, attributes in lines.items() if attributes.get("data-count")} == {
        "L1": "1", "L2": "1", "L3": "4", "L4": "3", "L6": "1", "L9": "1", "L13": "12345678",
    }
    assert [(way["data-target"], way["data-count"]) for way in page.with_class("way")] == [("4", "3"), ("6", "1"), ("3", "3"), ("5", "0")]
    assert [each["data-cost"] for each in page.with_class("i") if "data-cost" in each] == ["9", "2", "11", "12", "2", "4", "1234567"]
    assert "12,345,678" in {each.get("title") for each in page.with_class("h8")}


def test_missing_code_has_a_sign(tmp_path):
    """Colour is never the only sign: lines and ways have a cross, and the style has signs for the states of lines."""
    page, *_ = rendered(analysed(tmp_path / "a.py", flow=flow_of_source()))

    assert [each["id"] for each in page.with_class("m") if "id" in each] == ["L5", "L10"]
    assert [each["id"] for each in page.with_class("p") if "id" in each] == ["L4"]
    assert "✗ → 5: 0" in page.text
    assert "✗ true: 0" in page.text
    for state, sign in (("m", "✗"), ("p", "◐"), ("u", "?"), ("x", "–")):
        assert f'.l.{state} > code::before {{ content: "{sign}";' in STYLE
    for level in range(1, N_LEVELS + 1):
        assert re.search(rf'^\.h{level}::before {{ content: "[▁▂▃▄▅▆▇█]"', STYLE, re.MULTILINE)


# -- colours ---------------------------------------------------------------------------------------------------------

#: How eyes without one kind of cones see linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
EYES = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "no colours": ((0.2126, 0.7152, 0.0722),) * 3,
}


def linear(colour):
    """Return the linear RGB of *colour*, a text such as `#ffffd9`."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(rgb):
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def lightness(rgb):
    """Return the lightness of CIELAB, from 0 to 100."""
    y = luminance(rgb)
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def contrast(one, other):
    """Return the contrast of two linear colours, as WCAG defines it."""
    lower, higher = sorted((luminance(one), luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


def pair(text):
    """Return the light and the dark colour in *text*, a declaration of the style sheet."""
    return [linear(colour) for colour in re.findall(r"#[0-9a-f]{6}", text)]


LEVELS = [re.search(rf"^\.h{level} {{ background: (.*?); color: (.*?); }}$", STYLE, re.MULTILINE).groups() for level in range(1, N_LEVELS + 1)]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", EYES)
def test_levels_of_heat_differ_in_lightness(theme, eyes):
    """To all eyes, lightness changes in one direction from level to level, by a step that is seen."""
    seen = [[min(max(sum(a * b for a, b in zip(row, pair(back)[theme])), 0), 1) for row in EYES[eyes]] for back, _ in LEVELS]
    steps = [lightness(after) - lightness(before) for before, after in itertools.pairwise(seen)]

    assert len({step > 0 for step in steps}) == 1
    assert min(map(abs, steps)) > 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_texts_can_be_read(theme):
    """Contrast is 4.5 or more, as WCAG 2 wants it at level AA: on levels of heat, and of all colours of texts."""
    colours = {name: pair(value)[theme] for name, value in re.findall(r"--([\w-]+): (light-dark\(.*?\))", STYLE)}
    for back, text in LEVELS:
        assert contrast(pair(back)[theme], pair(text)[theme]) >= 4.5, back
    for name in ("text", "soft", "link", "keyword", "builtin", "name", "string", "number", "comment", "missing-text", "partial-text"):
        for back in ("back", "raised", "missing", "partial"):
            if name != "soft" or back in ("back", "raised"):
                assert contrast(colours[name], colours[back]) >= 4.5, (name, back)
