"""`instrument html`: web pages with counts."""

import base64
import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from counted_tests import PROGRAM
from html_pages import pages_in, read_page
from processes import write
from recorded import Tree
from reporting import SHOP_COUNTS, measured, run
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.commands.exports import html
from instrument.errors import ConfigError, DataError

ROOT = Path(__file__).parents[3]


def test_a_program_that_runs_has_pages(tmp_path):
    """The whole way, from the program to the counts in the page of its source."""
    Path("shop.py").write_text("def f(n):\n    return n\n\n\nfor n in range(1000):\n    f(n)\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for arguments in (["run", "shop.py"], ["html", "-o", "pages", "--title", "Our shop"]):
        done = subprocess.run(
            [sys.executable, "-m", "instrument", *arguments], env=environment, capture_output=True, text=True, check=True
        )
    assert done.stderr == f"1 page written: {os.path.join('pages', 'index.html')}\n"
    [(path, page)] = pages_in("pages").items()
    assert os.path.samefile(path, "shop.py")
    assert page.documents[0]["lines"] == {"1": 1, "2": 1000, "5": 1001, "6": 1000}
    assert ("f", 1, 1000) in map(tuple, page.documents[0]["functions"])
    assert "Our shop" in page.text
    assert "Counts of 1 process in 1 run, since 2" in read_page("pages/index.html").text


def test_pages_have_the_numbers_of_the_data(shop, capsys):
    """Counts, functions and missing lines of the data arrive in the page, also in that of a single file."""
    assert run("exports.html") == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"1 page written: {os.path.join(html.FOLDER, 'index.html')}"
    assert run("exports.html", "--single", "all.html") == 0
    [page] = pages_in(html.FOLDER).values()
    document = page.documents[0]
    assert {int(line): count for line, count in document["lines"].items()} == SHOP_COUNTS
    assert document["missing"] == [5, 13, 14]
    assert document["functions"] == [["price", 1, 1]]
    assert read_page("all.html").documents[1] == document


def test_tests_of_lines_are_written_if_the_data_have_them(tmp_path, capsys):
    """Each page gets a file beside it. `--no-contexts` leaves these out."""
    tree = Tree(tmp_path)
    tree.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    for folder, options in (("pages", []), ("without", ["--no-contexts"])):
        assert run("exports.html", "--dir", tree.data, "-o", folder, "--include", "*program.py", *options) == 0
    assert "not known" not in capsys.readouterr().err
    assert run("exports.html", "--dir", tree.data, "--single", "all.html", "--include", "*program.py") == 0
    [page] = pages_in("pages").values()
    [main] = [attributes for tag, attributes in page.tags if tag == "main"]
    more = {main["data-tests"], main["data-names"], "tests.js", "tests.css"}
    assert set(os.listdir("pages")) == set(os.listdir("without")) | more
    content = Path("pages", main["data-tests"]).read_text()
    [text] = re.findall('"([A-Za-z0-9+/=]{20,})"', content)
    assert text in Path("all.html").read_text()
    assert b"price" in zlib.decompress(base64.b64decode(text))


def test_tests_that_are_not_known_are_named(tmp_path, capsys):
    """Without plan files no work of a test can be recovered. The pages are written without lists of tests."""
    tree = Tree(tmp_path)
    tree.run(PROGRAM, _INSTRUMENT_CONTEXTS="1", PYTEST_CURRENT_TEST="")
    shutil.rmtree(tree.data / "plans")
    assert run("exports.html", "--dir", tree.data, "-o", "pages", "--include", "*program.py") == 0
    assert "some counts of tests are not known: " in capsys.readouterr().err
    [page] = pages_in("pages").values()
    assert not any("data-tests" in attributes for _, attributes in page.tags)


def test_options_choose_files(capsys):
    """Patterns, files that were never imported, and covered files."""
    measured("a.py", "x = 1\n", {1: 1})
    measured("b.py", "x = 1\ny = 2\n", {1: 1})
    run("exports.html", "--include", "a*", "--only-imported")
    assert [os.path.basename(path) for path in pages_in(html.FOLDER)] == ["a.py"]
    run("exports.html", "--skip-covered")
    assert [os.path.basename(path) for path in pages_in(html.FOLDER)] == ["b.py"]
    with pytest.raises(DataError, match="the data have no counted file: the patterns are --include 'none'"):
        run("exports.html", "--include", "none")
    with pytest.raises(DataError, match="have no executions of lines"):
        run("exports.html", "--unit", "executions")


def test_remarks_go_to_the_index_and_to_standard_error(shop, capsys):
    """A stale source, and a file that ran uncounted."""
    write(".instrument", "two", {}, not_measured={"/frozen.py": "it is frozen"})
    Path("shop.py").write_text("changed = 1\n")
    run("exports.html")
    errors = capsys.readouterr().err
    text = read_page(os.path.join(html.FOLDER, "index.html")).text
    for words in ("Stale source: ", "Not measured: '/frozen.py': it is frozen"):
        assert words in errors
        assert words in text


def test_without_its_libraries_the_command_says_how_to_install_them(shop, monkeypatch):
    """One line, and no report."""
    monkeypatch.setattr("instrument.report.html.writing.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="need jinja2 and markupsafe, which the extra `report` has: install them with `pip install jinja2 markupsafe`"):
        run("exports.html")
    assert not os.path.exists(html.FOLDER)


def test_a_folder_and_a_file_exclude_each_other(shop, capsys):
    with pytest.raises(SystemExit):
        run("exports.html", "-o", "pages", "--single", "all.html")
    assert "not allowed with argument" in capsys.readouterr().err


def test_other_commands_import_no_library():
    """Jinja2 is loaded by `html` only, so no measured process has it."""
    code = "import sys; from instrument import cli; from instrument.report.formats import formats; formats(); import instrument.commands.exports.html; print('jinja2' in sys.modules, 'markupsafe' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.stdout == "False False\n"
