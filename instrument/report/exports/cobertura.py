"""Writes Cobertura XML (`coverage.xml`, coverage-04.dtd), with true counts of lines, and with conditions.

An `Exported` comes in; documents go out, each shorter than a limit. A folder is a package, a file is a class, and a
function is a method. There is one <source>, the working directory: GitLab reads at most 100. No document has a DOCTYPE,
since readers would load the DTD from the network.

The format has no place for the count of a condition: it has the share of the ways that were taken.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple
from xml.etree import ElementTree as ET

from instrument.report.exports.numbers import IN_WORDS
from instrument.report.text import shown
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from instrument.report.exports.numbers import Exported, FileNumbers, FunctionNumbers, Ways

#: Bytes; GitLab refuses larger files.
LIMIT = 10 << 20


class _Sums(NamedTuple):
    """Numbers of lines and of ways on, and how many of them ran or were taken."""

    lines: int
    ran: int
    ways: int
    taken: int

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(*(one + more for one, more in zip(self, other, strict=True)))

    def rates(self) -> dict[str, str]:
        """Return the attributes that most elements have."""
        return {
            "line-rate": _rate(self.ran, self.lines),
            "branch-rate": _branch_rate(self.taken, self.ways),
            "complexity": "0",
        }


class _Class(NamedTuple):
    """The element of one file, as XML, and its package and sums."""

    package: str
    xml: bytes
    sums: _Sums


_NONE = _Sums(0, 0, 0, 0)


def write(exported: Exported, limit: int = LIMIT) -> Iterator[bytes]:
    """Yield the documents of *exported*. A document has at most *limit* bytes, unless it has a single file."""
    classes: list[_Class] = []
    size = room = limit - len(_document(exported.unit, []))
    package = None
    for each in sorted(map(_class, exported.files), key=lambda each: each.package):
        needed = len(each.xml) + (len(_package(each.package, [])) if each.package != package else 0)
        # The numbers in the attributes of the document and of the package grow with each file.
        needed += 100
        if classes and needed > room:
            yield _document(exported.unit, classes)
            classes, room = [], size
            needed = len(each.xml) + len(_package(each.package, [])) + 100
        classes.append(each)
        package = each.package
        room -= needed
    yield _document(exported.unit, classes)


def _document(unit: str, classes: Iterable[_Class]) -> bytes:
    """Return the document that has *classes*, which are sorted by package."""
    packages: dict[str, list[_Class]] = {}
    sums = _NONE
    for each in classes:
        packages.setdefault(each.package, []).append(each)
        sums = sums.plus(each.sums)
    root = ET.Element(
        "coverage",
        {
            "version": f"instrument {__version__}",
            "timestamp": str(int(time.time() * 1000)),
            "lines-valid": str(sums.lines),
            "lines-covered": str(sums.ran),
            "branches-valid": str(sums.ways),
            "branches-covered": str(sums.taken),
            **sums.rates(),
        },
    )
    root.append(ET.Comment(f" Written by instrument {__version__}. Hits are {IN_WORDS[unit]}. "))
    ET.SubElement(ET.SubElement(root, "sources"), "source").text = _working_directory()
    ET.SubElement(root, "packages").text = "\n"
    head, _, end = _xml(root).partition(b"</packages>")
    body = b"".join(_package(name, its_classes) for name, its_classes in packages.items())
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + head + body + b"</packages>" + end


def _working_directory() -> str:
    try:
        return shown(os.getcwd())
    except OSError:  # it was removed; then all paths are absolute
        return "/"


def _package(name: str, classes: list[_Class]) -> bytes:
    """Return the element of the package *name*, which has *classes*."""
    sums = _NONE
    for each in classes:
        sums = sums.plus(each.sums)
    package = ET.Element("package", {"name": name, **sums.rates()})
    ET.SubElement(package, "classes").text = "\n"
    head, _, end = _xml(package).partition(b"</classes>")
    return head + b"".join(each.xml for each in classes) + b"</classes>" + end


def _class(file: FileNumbers) -> _Class:
    """Return the element of *file*."""
    sums = _Sums(len(file.lines), file.n_ran, file.n_ways, file.n_ways_taken)
    folder, _, name = file.path.rpartition("/")
    element = ET.Element("class", {"name": name, "filename": file.path, **sums.rates()})
    ways: dict[int, list[Ways]] = {}
    for each in file.ways or ():
        ways.setdefault(each.line, []).append(each)
    methods = ET.SubElement(element, "methods")
    for function in file.functions:
        _add_method(methods, file, function, ways)
    _add_lines(element, file, file.lines, ways)
    ET.indent(element)
    return _Class(folder.strip("/").replace("/", ".") or ".", _xml(element), sums)


def _add_method(methods: ET.Element, file: FileNumbers, function: FunctionNumbers, ways: dict[int, list[Ways]]) -> None:
    """Add the element of *function* of *file*, with the lines of its body, to *methods*."""
    own = [each for line in function.body for each in ways.get(line, ())]
    sums = _Sums(
        len(function.body),
        sum(1 for line in function.body if file.lines[line]),
        sum(len(each.targets) for each in own),
        sum(each.n_taken for each in own),
    )
    # Functions of one name would be one method: the signature, which Python has not, tells them apart.
    attributes = {"name": function.name, "signature": f"line {function.line}", **sums.rates()}
    _add_lines(ET.SubElement(methods, "method", attributes), file, function.body, ways)


def _add_lines(parent: ET.Element, file: FileNumbers, lines: Iterable[int], ways: dict[int, list[Ways]]) -> None:
    """Add the elements of *lines* of *file* to *parent*, with the *ways* on from each line."""
    elements = ET.SubElement(parent, "lines")
    for line in lines:
        element = ET.SubElement(elements, "line", {"number": str(line), "hits": str(file.lines[line])})
        if branches := ways.get(line):
            n, n_taken = sum(len(each.targets) for each in branches), sum(each.n_taken for each in branches)
            element.set("branch", "true")
            element.set("condition-coverage", f"{100 * n_taken // n}% ({n_taken}/{n})")
            conditions = ET.SubElement(element, "conditions")
            for number, each in enumerate(branches):
                share = f"{100 * each.n_taken // len(each.targets)}%"
                attributes = {"number": str(number), "type": "jump", "coverage": share}
                ET.SubElement(conditions, "condition", attributes)
        else:
            element.set("branch", "false")


def _branch_rate(n: int, total: int) -> str:
    """Return the rate of branches: without any, 0, which coverage.py writes if branches are not known."""
    return _rate(n, total) if total else "0"


def _rate(n: int, total: int) -> str:
    """Return *n* / *total* as a text; only none of them is 0, and only all of them is 1. Of nothing, all ran."""
    if n in (0, total):
        return "1" if n == total else "0"
    return f"{min(max(n / total, 0.0001), 0.9999):.4g}"


def _xml(element: ET.Element) -> bytes:
    """Return *element* as a line of XML, in UTF-8 and without a declaration."""
    return f"{ET.tostring(element, encoding='unicode')}\n".encode()
