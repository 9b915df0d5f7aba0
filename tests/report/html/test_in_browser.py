"""The script of the pages, in a browser: sorting, filtering, keys, deep links, and no message in the console.

The scripts of the tests press keys in the page (tests/browser.py).
"""

import os
from pathlib import Path

import pytest
from browser import result_of
from html_pages import analysed, chromium, flow_of_source
from processes import A, write

from instrument.analysis.analysis import Analysis
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement
from instrument.report.html.short_numbers import short
from instrument.report.html.writing import Choices, Report

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")

@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with folders, in a folder and in one file; the path of the folder that has both."""
    place = tmp_path_factory.mktemp("browser")
    before = Path.cwd()
    os.chdir(place)
    try:
        write(".instrument", "one", {A: {1: 1}})
        with StoredMeasurement([".instrument"]) as stored:
            analysis = Analysis(stored, FilePatterns(include=["none"]))
        analysis.files = [
            analysed("src/a.py", flow=flow_of_source()),
            analysed("src/inner/b.py", "x = 1\ny = 2\n", {1: 99_000}, {("f", 1): 5}),
            analysed("src/inner/c.py", "x = 1\ny = 2\nz = 3\n", {1: 7, 2: 7, 3: 2**62}, {("g", 1): 6}),
            analysed("tests/d.py", "x = 1\n", {1: 3}, {}),
        ]
        made = Report(analysis, Choices("Title"), lambda n, total: None)
        made.write_folder("pages")
        made.write_file("all.html")
    finally:
        os.chdir(before)
    return place


def test_the_table_of_files(report, tmp_path):
    """Files are sorted by each column, within folders or as a plain list. A filter leaves files, and sums of these."""
    result = result_of(
        report / "pages" / "index.html",
        """
        const found = { first: seen() };
        found.missing = sorts("missing");
        found.least = sorts("missing");
        found.hits = sorts("hits");
        found.name = sorts("name");
        filter("INNER c.py");
        found.filtered = seen();
        const sums = [...document.querySelector("tr.folder").cells].map((td) => td.textContent.trim());
        found.sums = sums;
        found.shown = document.getElementById("shown").textContent;
        filter("");
        found.all = seen();
        found.sumsOfAll = [...document.querySelector("tr.folder").cells].map((td) => td.textContent.trim());
        click(".fold");
        found.folded = seen();
        click("[data-action=open]");
        press("f");
        found.flat = sorts("hottest");
        press("f");
        found.folders = seen();
        return found;
        """,
        tmp_path,
    )
    top, inner = ["src", "inner", "b.py", "c.py", "a.py"], ["tests", "d.py"]

    assert result["first"] == top + inner
    assert result["missing"] == ["src", "a.py", "inner", "b.py", "c.py", "tests", "d.py"]
    assert result["least"] == ["tests", "d.py", "src", "inner", "c.py", "b.py", "a.py"]
    assert result["hits"] == ["src", "inner", "c.py", "b.py", "a.py", "tests", "d.py"]
    assert result["name"] == top + inner
    assert result["filtered"] == ["src", "inner", "c.py"]
    assert result["shown"] == "1 of 4 files"
    assert result["sums"] == ["src", "100%", "3", "0", "0", "0", short(2**62), short(2**62), "0"]
    assert result["all"] == top + inner
    assert result["sumsOfAll"][:4] == ["src", "79%", "14", "3"]
    assert result["folded"] == ["src", "tests", "d.py"]
    assert result["flat"] == ["src/inner/c.py", "src/a.py", "src/inner/b.py", "tests/d.py"]
    assert result["folders"] == ["src", "inner", "c.py", "b.py", "a.py", "tests", "d.py"]


def test_colours_keys_and_functions(report, tmp_path):
    """The list of keys, the choice of colours, and the order of functions."""
    result = result_of(
        report / "pages" / "index.html",
        """
        const found = { open: [], themes: [], backs: [] };
        for (const key of ["?", "n", "?"]) { press(key); found.open.push(document.getElementById("keys").open); }
        for (let n = 0; n < 3; n++) {
          press("t");
          found.themes.push(document.documentElement.dataset.theme || "auto");
          found.backs.push(getComputedStyle(document.body).backgroundColor);
        }
        const names = () => all(".functions tbody tr").map((tr) => tr.dataset.function);
        found.functions = names();
        click(".functions th[data-key=cost] button");
        found.byCost = names();
        click(".functions th[data-key=name] button");
        found.byName = names();
        press("/");
        found.focus = document.activeElement.id;
        press("t", document.activeElement);
        found.typed = document.documentElement.dataset.theme || "auto";
        return found;
        """,
        tmp_path,
    )

    assert result["open"] == [True, True, False]
    assert result["themes"] == ["light", "dark", "auto"]
    assert result["backs"][0] != result["backs"][1]
    assert result["functions"][:2] == ["g", "f"]
    assert result["byCost"][:2] == ["<module>", "price"]
    assert result["byName"] == sorted(result["byName"])
    assert (result["focus"], result["typed"]) == ("filter", "auto")


def test_keys_of_a_file(report, tmp_path):
    """Keys lead to missing lines, to ways never taken, and through the lines by heat. A deep link marks its line."""
    [page] = (report / "pages").glob("src_a_py-*.html")
    result = result_of(
        page,
        """
        await later();
        const found = { linked: current(), top: document.querySelector(".l.current").getBoundingClientRect().top };
        const keys = (text) => [...text].map((key) => { press(key); return current(); });
        found.missing = keys("nnnpp");
        found.hash = location.hash;
        found.ways = keys("bB");
        found.hot = keys("nhcccch");
        press("o");
        found.open = all(".conditions").map((each) => each.open);
        const main = document.querySelector("main").dataset;
        found.neighbours = [main.before || "", main.after.slice(0, 10), main.index];
        found.wide = document.documentElement.scrollWidth <= innerWidth;
        return found;
        """,
        tmp_path,
        "#L9",
    )

    assert result["linked"] == "L9"
    assert result["top"] >= 0
    assert result["missing"] == ["L10", "L5", "L10", "L5", "L10"]
    assert result["hash"] == "#L10"
    assert result["ways"] == ["L4", "L4"]
    assert result["hot"] == ["L5", "L13", "L3", "L4", "L1", "L2", "L1"]
    assert result["open"] == [True]
    assert result["neighbours"] == ["", "src_inner_", "index.html"]
    assert result["wide"]


def test_a_single_file(report, tmp_path):
    """Links lead to its pages and their lines, and back to the index, without another file."""
    (tmp_path / "all.html").write_bytes((report / "all.html").read_bytes())
    result = result_of(
        tmp_path / "all.html",
        """
        const found = { first: [document.querySelector("main.index").hidden, all("main.file").length] };
        const link = all("table.tree a").find((a) => a.textContent === "a.py").getAttribute("href");
        location.hash = `${link}:L5`;
        await later();
        found.page = [document.querySelector("main.index").hidden, document.querySelector("main.file h1").textContent, current()];
        found.title = document.title;
        press("n");
        found.next = [current(), location.hash === `${link}:L10`];
        press("]");
        await later();
        found.after = document.querySelector("main.file h1").textContent;
        press("u");
        await later();
        found.index = [document.querySelector("main.index").hidden, all("main.file").length, document.title];
        return found;
        """,
        tmp_path,
    )

    assert result["first"] == [False, 0]
    assert result["page"] == [True, "src/a.py", "L5"]
    assert result["title"] == "src/a.py - Title"
    assert result["next"] == ["L10", True]
    assert result["after"] == "src/inner/b.py"
    assert result["index"] == [False, 0, "Title"]
