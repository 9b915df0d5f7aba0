"""Helpers for tests of pages: analyses with the flow of control, and readers of pages."""

import html.parser
import json
import os
import shutil
from pathlib import Path

from instrument.analysis.file_analysis import FileAnalysis
from instrument.analysis.source_file import version_of
from instrument.model.flow_counts import Arc, Decision, FlowCounts, FunctionFlow, Outcomes
from instrument.model.measurement import FileCounts

SOURCE = """\
def price(items, größe=0):
    total = 0
    for item in items:
        if item > 100 and größe:
            total += item
    return total


def refund():
    return 0


price(range(3))
"""

#: A path, a source or a name of a function that breaks out of HTML, of attributes, of JSON, and of URLs.
HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}<!--\u202e"


def flow_of_source():
    """Return the flow of SOURCE: `if` was never true, and `größe` was never reached."""
    flow, price, module = FlowCounts(), ("price", 1), ("<module>", 1)
    flow.decisions[Decision(3, 4, 3, 21, "loop", 0)] = Outcomes(3, 1)
    flow.decisions[Decision(4, 11, 4, 21, "test", 0)] = Outcomes(0, 3)
    flow.decisions[Decision(4, 26, 4, 33, "test", 0)] = Outcomes(0, 0)
    for line, target, count in ((3, 4, 3), (3, 6, 1), (4, 5, 0), (4, 3, 3), (6, 0, 1), (2, 3, 1)):
        flow.arcs[Arc(price, line, target)] = count
    flow.instructions.update({1: 9, 2: 2, 3: 11, 4: 12, 6: 2, 9: 4, 13: 1_234_567})
    flow.executions.update({1: 1, 2: 1, 3: 4, 4: 3, 5: 0, 6: 1, 9: 1, 10: 0, 13: 1})
    flow.functions[price] = FunctionFlow(1, 1, 0, 0, 27)
    flow.functions["refund", 9] = FunctionFlow()
    flow.functions[module] = FunctionFlow(1, 1, 0, 0, 1_234_580)
    return flow


def analysed(path, source=SOURCE, lines=None, functions=None, flow=None, **more):
    """Write *source* to *path*, and return the FileAnalysis of these counts of lines and functions."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source.encode())
    counts = FileCounts()
    lines = {1: 1, 2: 1, 3: 4, 4: 3, 6: 1, 9: 1, 13: 12_345_678} if lines is None else lines
    functions = {("<module>", 1): 1, ("price", 1): 1} if functions is None else functions
    for line, count in lines.items():
        counts.lines.add(line, count, 1.0, 2.0)
    for function, count in functions.items():
        counts.functions.add(function, count, 1.0, 2.0)
    return FileAnalysis(str(path), version_of(source.encode()), counts, measured_at=[str(path)], flow=flow, **more)


class FixedPatterns:
    """Stands for a PatternsByFile with these *tests* and *others*; *patterns* has those of files, by name of the file."""

    def __init__(self, tests, others, patterns):
        self.tests, self.others, self._patterns = tests, others, patterns

    def of_file(self, files):
        """Yield the patterns of *files*."""
        for path, _version in files:
            yield from self._patterns.get(os.path.basename(path), ())


class Page(html.parser.HTMLParser):
    """A page: `tags` has the name and the attributes of each element, `text` its text, `documents` its JSON."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.documents, self._in = [], "", [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self._in and self._in.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, attributes = self._in[-1] if self._in else ("", {})
        if tag == "script" and attributes.get("type") == "application/json":
            self.documents.append(json.loads(data))
        elif tag not in ("script", "style"):
            self.text += data

    def with_class(self, name):
        """Return the attributes of the elements that have the class *name*."""
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]


def read_page(path):
    """Return the Page in the file at *path*."""
    return Page(Path(path).read_text(encoding="utf-8"))


def pages_in(folder):
    """Return the pages of files in *folder*, by the path in their documents."""
    pages = [read_page(Path(folder, name)) for name in os.listdir(folder) if name.endswith(".html") and name != "index.html"]
    return {page.documents[0]["path"]: page for page in pages}


def chromium():
    """Return the path of a Chromium or Chrome, None if there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
