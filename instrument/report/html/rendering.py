"""Renders the models of pages by the templates of this folder.

Models come in, and texts of HTML go out. The templates escape all values, but for the lines of sources, which
`source_markup` has escaped. This module alone needs the libraries of the extra `report`.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from importlib import resources
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from instrument.report.html.short_numbers import N_LEVELS, exact, least_counts, short
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.report.html.file_page import FilePage
    from instrument.report.html.index_page import IndexPage

_PACKAGE = "instrument.report.html"
#: The files that the pages of a folder share.
STYLE, SCRIPT = "report.css", "report.js"
#: The files that pages have in addition if a server keeps their numbers up to date.
LIVE_STYLE, LIVE_SCRIPT = "live.css", "live.js"
#: The files that pages have in addition if they list the tests of lines. TEST_NAMES has the names of all tests.
TESTS_STYLE, TESTS_SCRIPT, TEST_NAMES = "tests.css", "tests.js", "test-names.js"
INDEX = "index.html"
#: Parts of a template that are written at once. A line of a source is some twenty parts.
_PARTS_AT_ONCE = 10_000


class About(NamedTuple):
    """Facts that all pages show: the title, the unit of counts, the count at which the scale of heat ends, the date."""

    title: str
    unit: str
    hottest: int
    date: str


class _Links:
    """Links between pages: to files of the folder, or to parts of a single file."""

    def __init__(self, *, is_single: bool) -> None:
        self._is_single = is_single
        self.index = "#" if is_single else INDEX
        #: Where the names of tests are: an element, or a file.
        self.test_names = "test-names" if is_single else TEST_NAMES

    def part(self, name: str) -> str:
        """Return the id of the page called *name* in a single file: short, as each line of the page has it."""
        return name.rpartition("-")[2]

    def file(self, name: str) -> str:
        """Return the link to the page called *name*."""
        return f"#{self.part(name)}" if self._is_single else f"{name}.html"

    def line(self, name: str, number: int) -> str:
        """Return the link from another page to a line of the page called *name*."""
        return f"#{self.part(name)}:L{number}" if self._is_single else f"{name}.html#L{number}"

    def tests(self, name: str) -> str:
        """Return where the numbers of tests for the page called *name* are: the id of an element, or a file."""
        return f"tests-{self.part(name)}" if self._is_single else f"{name}.tests.js"

    def own_line(self, name: str) -> str:
        """Return the link from the page called *name* to one of its lines, without the line's number."""
        return f"#{self.part(name)}:L" if self._is_single else "#L"


class Renderer:
    """Renders the pages of one report, with the facts *about* it.

    Pages that are *live* have the rates of a running program, and a script that keeps their numbers up to date.
    With *test_names*, the text of `packed_tests.packed_names`, pages list the tests that ran a line.
    """

    def __init__(self, about: About, *, is_live: bool = False, test_names: str = "") -> None:
        self._test_names = test_names
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader(_PACKAGE),
            autoescape=True,
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            about=about,
            is_live=is_live,
            has_tests=bool(test_names),
            version=__version__,
            short=short,
            exact=exact,
            safe=Markup,
            levels=list(zip(range(1, N_LEVELS + 1), least_counts(about.hottest), strict=True)),
        )

    def waiting(self, reason: str) -> str:
        """Return the live page that is shown while there are no counts, for this *reason*."""
        return self._environment.get_template("live_waiting.html").render(reason=reason, links=_Links(is_single=False))

    def style(self) -> str:
        """Return the style sheet of all pages."""
        return static_text(STYLE)

    def script(self) -> str:
        """Return the script of all pages."""
        return static_text(SCRIPT)

    def shared_files(self) -> Iterator[tuple[str, str]]:
        """Yield name and content of each file that the pages of a folder share."""
        yield STYLE, self.style()
        yield SCRIPT, self.script()
        if self._test_names:
            yield TESTS_STYLE, static_text(TESTS_STYLE)
            yield TESTS_SCRIPT, static_text(TESTS_SCRIPT)
            yield TEST_NAMES, _script_of_tests(TEST_NAMES, self._test_names)

    def tests_of(self, page: FilePage) -> tuple[str, str]:
        """Return name and content of the file of a folder that has the numbers of tests for *page*."""
        name = _Links(is_single=False).tests(page.name)
        return name, _script_of_tests(name, page.tests)

    def file(self, page: FilePage, before: str, after: str) -> str:
        """Return the *page* of a source file in a folder; *before* and *after* name its neighbours, or are empty."""
        template = self._environment.get_template("folder_file.html")
        return template.render(page=page, before=before, after=after, links=_Links(is_single=False))

    def index(self, index: IndexPage) -> str:
        """Return the index of a folder."""
        template = self._environment.get_template("folder_index.html")
        return template.render(index=index, links=_Links(is_single=False))

    def single(self, index: IndexPage, pages: Iterable[tuple[FilePage, str, str]]) -> Iterator[str]:
        """Yield the parts of a report in one file. *pages* has the arguments of `file` for each page."""
        style, script = self.style(), self.script()
        if self._test_names:
            style, script = style + static_text(TESTS_STYLE), script + static_text(TESTS_SCRIPT)
        template = self._environment.get_template("single.html")
        parts = template.stream(
            index=index,
            pages=pages,
            links=_Links(is_single=True),
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            test_names=self._test_names,
        )
        parts.enable_buffering(_PARTS_AT_ONCE)
        yield from parts


def static_text(name: str) -> str:
    """Return the text of the style sheet or script called *name*."""
    return (resources.files(_PACKAGE) / "static" / name).read_text(encoding="utf-8")


def _script_of_tests(name: str, text: str) -> str:
    """Return the script called *name* that brings *text*, of base64, to the page that loads it."""
    return f'instrument.addTests("{name}", "{text}");\n'


def _hash(text: str) -> str:
    """Return the source expression of a Content-Security-Policy that allows the inline element with this *text*."""
    return f"sha256-{base64.b64encode(sha256(text.encode()).digest()).decode('ascii')}"
