"""The lists of tests on pages, in a browser: their content, keys, deep links, the filter, and hostile names."""

import os
from array import array
from pathlib import Path

import pytest
from browser import result_of
from counted_tests import PROGRAM
from html_pages import HOSTILE, FixedPatterns, analysed, chromium, flow_of_source
from processes import A, write
from recorded import Tree

from instrument.analysis.analysis import Analysis
from instrument.analysis.contexts.by_file import PatternsByFile, PatternWork
from instrument.analysis.contexts.names import PHASES, context_of
from instrument.analysis.contexts.work import ContextWork
from instrument.analysis.patterns import FilePatterns
from instrument.data.query import StoredMeasurement
from instrument.report.html.writing import Choices, Report

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")

#: The names of 120 tests; the first one is hostile.
TESTS = [HOSTILE, *(f"tests/test_{n % 2}.py::test[{n:03}]" for n in range(1, 120))]
OTHERS = ["", "session fixture db"]
SETUP, CALL, OTHER = 0, 120, 360

#: `price` runs line 3 once for each call of a test, 2**60 times in test 7, and in contexts that are no tests.
PRICE = [
    PatternWork(("price", 1), 1, {2: 1, 3: 1}, array("I", [SETUP + 5, SETUP + 5, *range(CALL, CALL + 120), OTHER])),
    PatternWork(("price", 1), 2, {2: 2, 3: 2**60, 4: 1}, array("I", [CALL + 7, OTHER + 1])),
]
MODULE = [PatternWork(("<module>", 1), 1, {1: 1, 9: 1, 13: 5}, array("I", [CALL + 2]))]

#: The functions that scripts of tests use in addition.
MORE = """
const panel = () => document.getElementById("tests");
const settled = async () => { for (let n = 0; n < 40 && !panel()?.querySelector(".list, .notice"); n++) await later(); };
const rows = (part = ".list") => all(`#tests ${part} tr`).map((tr) => [...tr.cells].map((td) => td.textContent.trim()));
const facts = () => all("#tests .facts").map((each) => each.textContent);
const count = (line) => document.querySelector(`#L${line} > .c`);
const title = () => document.getElementById("tests-title").textContent;
"""


def write_report(place, unit):
    """Write a report with tests and counts in this *unit* to *place*, as a folder and as one file."""
    before = Path.cwd()
    os.chdir(place)
    try:
        write(".instrument", "one", {A: {1: 1}})
        with StoredMeasurement([".instrument"]) as stored:
            analysis = Analysis(stored, FilePatterns(include=["none"]))
        lines = {1: 1, 2: 127, 3: 2**61 + 500, 4: 2, 9: 1, 13: 9}
        analysis.files = [
            analysed("src/a.py", lines=lines, flow=flow_of_source()),
            analysed("src/b.py", "x = 1\ny = 2\n", {1: 3}, {("f", 1): 5}),
        ]
        tests = FixedPatterns(TESTS, OTHERS, {"a.py": [*PRICE, *MODULE]})
        made = Report(analysis, Choices("Title", unit), lambda n, total: None, tests=tests)
        made.write_folder("pages")
        made.write_file("all.html")
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The path of a folder with a report."""
    place = tmp_path_factory.mktemp("browser")
    write_report(place, "events")
    return place


@pytest.fixture
def page(report):
    """The path of the page of a.py in the folder."""
    [page] = (report / "pages").glob("src_a_py-*.html")
    return page


def test_a_click_lists_the_tests_of_a_line(page, tmp_path):
    """They are ranked by their counts, with phases; 50 at first, then more. Other contexts are apart."""
    result = result_of(
        page,
        MORE
        + """
        count(3).click();
        await settled();
        const found = { title: title(), facts: facts(), first: rows().slice(0, 4), n: [rows().length], others: rows(".others") };
        found.hash = location.hash;
        found.current = current();
        found.buttons = all("#tests .list .more button").map((each) => each.textContent);
        click("#tests .list .more button");
        found.n.push(rows().length);
        click("#tests .list .more button");
        found.n.push(rows().length, all("#tests .list .more button").length);
        found.scripts = all("head script[src]").map((each) => each.getAttribute("src").replace(/-[0-9a-f]{16}/, ""));
        count(13).click();
        await later();
        found.second = [title(), facts(), rows(), rows(".others")];
        found.loaded = all("head script[src]").length;
        count(13).click();
        found.closed = [panel().open, location.hash];
        return found;
        """,
        tmp_path,
    )

    assert result["title"] == "Line 3"
    total = 2**60 + 122
    assert result["facts"] == [f"120 of 120 tests ran this line, {total:,} times."]
    assert result["first"] == [
        ["1.2\u00a0E", "tests/test_1.py::test[007]"],
        ["3", "tests/test_1.py::test[005] setup 2, call 1"],
        ["1", HOSTILE.replace("\u202e", "\\u202e")],
        ["1", "tests/test_1.py::test[001]"],
    ]
    assert result["others"] == [["1.2\u00a0E", "session fixture db"], ["377", "test not known"], ["1", "other code"]]
    assert (result["hash"], result["current"]) == ("#L3:tests", "L3")
    assert result["buttons"] == ["50 more", "all 120"]
    assert result["n"] == [50, 100, 120, 0]
    assert result["scripts"] == ["report.js", "tests.js", "test-names.js", "src_a_py.tests.js"]
    assert result["second"] == [
        "Line 13",
        ["1 of 120 tests ran this line, 5 times."],
        [["5", "tests/test_0.py::test[002]"]],
        [["4", "test not known"]],
    ]
    assert result["loaded"] == 4
    assert result["closed"] == [False, "#L13"]


def test_keys_open_filter_and_close_the_list(page, tmp_path):
    """`w` opens it for the current line; Escape closes it, and the focus goes back. Keys in the filter are text."""
    result = result_of(
        page,
        MORE
        + """
        press("h");
        const found = { hottest: current() };
        const link = document.querySelector("#L3 .n");
        link.focus();
        press("w", link);
        await settled();
        found.opened = [panel().open, title(), document.activeElement.type];
        const field = document.activeElement;
        field.value = "TEST_1 9]";
        field.dispatchEvent(new Event("input", { bubbles: true }));
        found.filtered = [rows().length, rows()[0][1], document.querySelector("#tests output").textContent];
        press("w", field);
        press("n", field);
        found.typed = [panel().open, current()];
        press("Escape", field);
        found.closed = [panel().open, document.activeElement === link, location.hash];
        found.stop = [count(3).getAttribute("tabindex"), count(3).getAttribute("role"), count(5).getAttribute("tabindex")];
        count(3).focus();
        press("Enter", count(3));
        await later();
        found.again = panel().open;
        press("Escape");
        found.back = [panel().open, document.activeElement === count(3)];
        press("?");
        press("w");
        found.help = [document.getElementById("keys").open, panel().open];
        return found;
        """,
        tmp_path,
    )

    assert result["hottest"] == "L3"
    assert result["opened"] == [True, "Line 3", "search"]
    assert result["filtered"] == [12, "tests/test_1.py::test[009]", "12 of 120 tests, 12 times"]
    assert result["typed"] == [True, "L3"]
    assert result["closed"] == [False, True, "#L3"]
    assert result["stop"] == ["0", "button", None]
    assert result["again"] is True
    assert result["back"] == [False, True]
    assert result["help"] == [True, False]


def test_a_deep_link_opens_its_list(page, tmp_path):
    """The link of the list is the address of the page. A list of a function has the tests that enter it."""
    script = (
        MORE
        + """
        await settled();
        const self = document.querySelector("#tests .self").getAttribute("href");
        const found = { title: title(), self: self === location.hash, facts: facts(), first: rows().slice(0, 2), others: rows(".others") };
        const line = document.querySelector(".l.current");
        found.line = line && [line.id, line.getBoundingClientRect().top >= 0];
        location.hash = "#L2:tests";
        await later();
        await settled();
        found.next = [title(), panel().open];
        location.hash = "#L2";
        await later();
        found.last = panel().open;
        return found;
        """
    )
    line = result_of(page, script, tmp_path, "#L4:tests")
    function = result_of(page, script, tmp_path, "#L1:entered:price")

    assert (line["title"], line["self"], line["line"]) == ("Line 4", True, ["L4", True])
    assert line["first"] == [["1", "tests/test_1.py::test[007]"]]
    assert (function["title"], function["self"]) == ("price", True)
    assert function["facts"] == ["120 of 120 tests entered this function, 124 times.", "A generator is entered each time that it goes on."]
    assert function["first"] == [["3", "tests/test_1.py::test[005] setup 2, call 1"], ["3", "tests/test_1.py::test[007]"]]
    assert function["others"] == [["2", "session fixture db"], ["1", "other code"]]
    for result in (line, function):
        assert result["next"] == ["Line 2", True]
        assert result["last"] is False


def test_the_calls_of_a_function_open_its_list(page, report, tmp_path):
    """The table of a page opens it; that of the index leads to the page of the file."""
    result = result_of(
        page,
        MORE
        + """
        document.querySelector(".functions-of-file").open = true;
        const cell = document.querySelector("tr[data-function=refund] .calls");
        cell.click();
        await settled();
        const found = { none: facts()[0] };
        const link = document.querySelector("tr[data-function=price] a");
        link.focus();
        press("w", link);
        await later();
        found.price = [title(), location.hash];
        press("Escape");
        found.closed = [panel().open, document.activeElement === link];
        all("tr[data-function]").find((tr) => tr.dataset.function === "<module>").querySelector(".calls").click();
        await later();
        found.module = [title(), location.hash, facts()[0]];
        return found;
        """,
        tmp_path,
    )
    # Two code objects begin on line 1, and the name of one has characters that an address lacks.
    module = ["<module>", "#L1:entered:%3Cmodule%3E", "1 of 120 tests entered this function, 1 time."]
    linked = result_of(page, MORE + "await settled(); return [title(), location.hash, facts()[0]];", tmp_path, module[1])
    assert linked == module
    assert result == {
        "module": module,
        "none": "No test entered this function.",
        "price": ["price", "#L1:entered:price"],
        "closed": [False, True],
    }
    (tmp_path / "all.html").write_bytes((report / "all.html").read_bytes())
    result = result_of(
        tmp_path / "all.html",
        MORE
        + """
        document.querySelector("main.index tr[data-function=price] .calls").click();
        await later();
        await settled();
        const found = { page: document.querySelector("main.file h1").textContent, title: title(), n: rows().length };
        const part = location.hash.split(":")[0];
        location.hash = `${part}:L13:tests`;
        await later();
        await settled();
        found.line = [title(), rows(), location.hash === `${part}:L13:tests`, current()];
        press("u");
        await later();
        found.index = [document.querySelector("main.index").hidden, panel().open];
        const other = all("table.tree a").find((a) => a.textContent === "b.py").getAttribute("href");
        location.hash = `${other}:L1:tests`;
        await later();
        found.unknown = [document.querySelector("main.file h1").textContent, panel().open];
        count(1).click();
        found.click = panel().open;
        found.scripts = all("script[src]").length;
        return found;
        """,
        tmp_path,
    )
    assert result["page"] == "src/a.py"
    assert (result["title"], result["n"]) == ("price", 50)
    assert result["line"] == ["Line 13", [["5", "tests/test_0.py::test[002]"]], True, "L13"]
    assert result["index"] == [False, False]
    assert result["unknown"] == ["src/b.py", False]
    assert result["click"] is False
    assert result["scripts"] == 0


def test_hostile_names_are_texts(page, tmp_path):
    """No element comes of a name, and no script runs."""
    result = result_of(
        page,
        MORE
        + """
        let alarms = 0;
        globalThis.alert = () => { alarms++; };
        count(2).click();
        await settled();
        click("#tests .list .more button:last-child");
        return { alarms, inner: all("#tests img, #tests script, #tests .test bdi *").length, names: rows().filter(([, name]) => name.includes("alert(1)")).length };
        """,
        tmp_path,
    )

    assert result == {"alarms": 0, "inner": 0, "names": 1}


def test_the_lists_are_those_of_the_data(tmp_path):
    """From a program to the browser: for each line, the oracle finds the same tests, phases and counts."""
    tree = Tree(tmp_path / "tree")
    tree.folder.mkdir()
    tree.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    oracle = {}
    with StoredMeasurement([str(tree.data)]) as stored:
        work = ContextWork(stored)
        [file] = stored.files()
        for line in stored.counts(file).lines.counts():
            tests, others = {}, []
            for context, n in ((context_of(name), n) for name, n in work.of_line([file], line).items()):
                if context.is_test:
                    tests.setdefault(context.name, {})[context.phase] = n
                else:
                    others.append([f"{n}", context.name or "other code"])
            rows = [(sum(phases.values()), name, phases) for name, phases in tests.items()]
            rows.sort(key=lambda row: (-row[0], row[1]))
            oracle[f"{line}"] = [[[f"{n}", f"{name}{remark_of(phases)}"] for n, name, phases in rows], sorted(others)]
        analysis = Analysis(stored, FilePatterns())
        tests = PatternsByFile(stored)
        Report(analysis, Choices(), lambda n, total: None, tests=tests).write_folder(str(tmp_path / "pages"))
    assert len(oracle) > 20
    [page] = [path for path in (tmp_path / "pages").glob("*.html") if path.name != "index.html"]
    result = result_of(
        page,
        MORE
        + """
        const found = {};
        for (const line of all(".l[data-count]")) {
          line.querySelector(".c").click();
          await settled();
          if (title() !== `Line ${line.id.slice(1)}`) throw new Error(title());
          found[line.id.slice(1)] = [rows(), rows(".others").sort()];
        }
        return found;
        """,
        tmp_path,
    )
    assert result == oracle


def remark_of(phases):
    """Return the remark on the *phases* of a test; there is none if it is the call alone."""
    return "" if [*phases] == ["call"] else " " + ", ".join(f"{each} {phases[each]}" for each in PHASES if each in phases)


def test_counts_in_another_unit_are_explained(tmp_path):
    """The page has executions of lines, and tests have line events. The list says so if the numbers differ."""
    write_report(tmp_path, "executions")
    [page] = (tmp_path / "pages").glob("src_a_py-*.html")
    script = MORE + "await settled(); return facts();"
    assert result_of(page, script, tmp_path, "#L13:tests") == [
        "1 of 120 tests ran this line, 5 times.",
        "Counts of tests are line events, as the module trace counts them: 9 in all.",
    ]
    assert result_of(page, script, tmp_path, "#L9:tests") == ["1 of 120 tests ran this line, 1 time."]


def test_a_missing_file_is_named(page, tmp_path):
    """The page may have been copied without the files beside it."""
    alone = tmp_path / page.name
    alone.write_bytes(page.read_bytes())
    for name in ("report.js", "report.css", "tests.js", "tests.css"):
        (tmp_path / name).write_bytes((page.parent / name).read_bytes())
    script = MORE + "count(3).click(); await settled(); return all('#tests .notice').map((each) => each.textContent);"
    assert result_of(alone, script, tmp_path) == ["The file test-names.js cannot be read. It must be beside this page."]
    (tmp_path / "test-names.js").write_text("")
    assert result_of(alone, script, tmp_path) == ["The file test-names.js is damaged."]
    (tmp_path / "test-names.js").write_text('instrument.addTests("test-names.js", "AAAA");')
    assert result_of(alone, script, tmp_path) == ["The file test-names.js is damaged."]


@pytest.mark.parametrize("width", [500, 1200])
def test_the_list_fits_into_narrow_windows_and_is_not_printed(width, report, page, tmp_path):
    """In dark and in light, its text has the colours of the page."""
    single = tmp_path / "all.html"
    single.write_bytes((report / "all.html").read_bytes())
    address = f"#{page.stem.rpartition('-')[2]}"
    result = result_of(
        single,
        MORE
        + """
        count(3).click();
        await settled();
        const found = { width: innerWidth, wide: document.documentElement.scrollWidth <= innerWidth, backs: [] };
        const box = panel().getBoundingClientRect();
        found.inside = [box.left >= 0, box.right <= innerWidth, box.top >= 0, box.bottom <= innerHeight];
        for (let n = 0; n < 2; n++) {
          press("t");
          found.backs.push(getComputedStyle(panel()).backgroundColor === getComputedStyle(document.body).backgroundColor);
        }
        const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) => rule.media?.mediaText === "print");
        const hiding = rules.flatMap((rule) => [...rule.cssRules]).filter((rule) => rule.style.display === "none");
        found.hidden = [panel(), document.querySelector(".tests-hint")].map((each) => hiding.some((rule) => each.matches(rule.selectorText)));
        return found;
        """,
        tmp_path,
        address,
        flags=(f"--window-size={width},700",),
    )

    assert abs(result["width"] - width) <= 100
    assert result["wide"]
    assert result["inside"] == [True] * 4
    assert result["backs"] == [True, True]
    assert result["hidden"] == [True, True]
