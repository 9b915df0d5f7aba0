"""Files in the scope that were never imported: which are found, and where the search ends."""

import json
import os
import sys
from pathlib import Path

import pytest
from data_files import in_format
from processes import files, write
from recorded import Tree
from reporting import NEVER, SHOP, elsewhere, run, scoped, table_rows
from reporting import in_own_folder as in_own_folder
from reporting import project as project
from reporting import shop as shop

from instrument.analysis.never_imported import _paths_of_module as paths_of_module
from instrument.analysis.source_file import version_of


def never_imported(capsys, *arguments):
    """Return the files that a report shows as never imported, and its standard error."""
    run("report", *arguments)
    output = capsys.readouterr()
    rows = [line for line in output.out.splitlines() if "never imported" in line]
    assert all(row.split()[4] == "0" and row.split()[3] == "0%" for row in rows)
    return [row.split()[0] for row in rows], output.err


@pytest.mark.slow
def test_files_that_were_never_imported_are_shown_at_zero(project, capsys):
    """They are the files in the folder where the program was started, without those of other projects."""
    scoped("one", ["main.py", "src/pkg/used.py"], "")
    expected = ["src/other.py", "src/pkg/build/never.py", "src/pkg/never.py", "tests/test_pkg.py"]
    found, errors = never_imported(capsys)
    assert found == expected
    assert f"Left out: 1 file never imported that this Python cannot compile: '{project}/docs/broken.py'" in errors
    assert never_imported(capsys, "--omit", "tests,src/pkg/build")[0] == ["src/other.py", "src/pkg/never.py"]
    assert never_imported(capsys, "--only-imported") == ([], "")

    run("report", "--missing", "--include", "src/other.py")
    assert capsys.readouterr().out.splitlines()[2].split() == [
        *("src/other.py", "5", "5", "0%", "0", "never", "imported", "1-7"),
    ]
    run("report", "--unused-for", "30d", "--include", "src/other.py")
    assert capsys.readouterr().out.splitlines()[-5:] == [
        "src/other.py (never imported)",
        "    module level  never",
        "    function f (line 1)  never",
        "    function C.m (line 6)  never",
        "    lines 1-7  never",
    ]
    run("report", "--json", "--include", "src/other.py", "--unused-for", "30d")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["imported"], file["hits"], file["missing"]) == (False, 0, [1, 2, 5, 6, 7])
    assert file["version"] == version_of(NEVER.encode())
    assert [function["name"] for function in file["unused"]["functions"]] == ["<module>", "f", "C.m"]
    run("annotate", "-d", "covers")
    names = ["src.other", "src.pkg.build.never", "src.pkg.never", "src.pkg.used", "tests.test_pkg"]
    assert files("covers") == ["main.cover", *(f"{name}.cover" for name in names)]
    assert Path("covers/src.other.cover").read_text().startswith(">>>>>> def f():\n>>>>>>     return 1\n")
    run("annotate", "-d", "imported", "--only-imported")
    assert files("imported") == ["main.cover", "src.pkg.used.cover"]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("{0}/src/pkg", ["src/pkg/build/never.py", "src/pkg/never.py"]),
        ("pkg", ["src/pkg/build/never.py", "src/pkg/never.py"]),
        ("pkg.used", []),
        ("other", ["src/other.py"]),
        ("pkg.used\n{0}/tests/test_pkg.py", ["tests/test_pkg.py"]),
        ("pkg.used\n1", ["src/other.py", "src/pkg/build/never.py", "src/pkg/never.py", "tests/test_pkg.py"]),
        (None, []),
    ],
)
def test_only_files_in_the_scope_of_a_process_are_shown_at_zero(scope, expected, project, capsys):
    """A file outside of the scope is not missing."""
    scoped("one", ["src/pkg/used.py"], scope and scope.format(project))
    found, errors = never_imported(capsys, "--omit", "main.py")
    assert found == expected
    assert ("earlier versions" in errors) == (scope is None)


def test_own_code_is_not_looked_for_where_none_of_it_ran(project, capsys, tmp_path):
    """A program that was started elsewhere shows its package, and not the files of the folder where it was started."""
    elsewhere = project / "docs"
    scoped("one", ["src/pkg/used.py"], "", directory=elsewhere)
    assert never_imported(capsys)[0] == ["src/pkg/build/never.py", "src/pkg/never.py"]


def test_folders_that_were_not_searched_are_named(project, capsys, monkeypatch):
    """A folder of another machine does not exist here; a home folder holds more than one project."""
    scoped("one", ["src/pkg/used.py"], "", directory="/app/of/a/container")
    scoped("two", ["src/pkg/used.py"], "/srv/of/a/container")
    monkeypatch.setenv("HOME", str(project))
    scoped("three", ["src/pkg/used.py"], "")
    found, errors = never_imported(capsys)
    assert found == ["src/pkg/build/never.py", "src/pkg/never.py"]
    said = [line.partition("not looked for in ")[2] for line in errors.splitlines() if "not looked for" in line]
    assert said == [
        "'/app/of/a/container': it is not here",
        "'/srv/of/a/container': it is not here",
        f"'{project}': it is a home folder or the root folder, too large to search; name the project's folder as the scope",
    ]


def test_the_search_for_files_is_bounded(project, capsys, monkeypatch):
    """If the search ends early, a remark says so."""
    scoped("one", ["main.py"], "")
    monkeypatch.setattr("instrument.analysis.never_imported.MOST_FILES", 2)
    found, errors = never_imported(capsys)
    assert len(found) == 2
    assert "Not all files that were never imported are listed: the search ended after 2 files" in errors


def test_a_process_records_its_scope(tmp_path, capsys):
    """The data has the scope of the measurement."""
    tree = Tree(tmp_path)
    (tmp_path / "never.py").write_text(NEVER)
    tree.run("def f(): pass\nf()\n")
    tree.run("def f(): pass\nf()\n", _INSTRUMENT_ROOT="77")
    rows = tree.rows("SELECT scope, root FROM process")
    assert {scope for scope, _root in rows} == {str(tmp_path)}
    assert 77 in {root for _scope, root in rows}
    run("report", "--dir", tree.data)
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].split() == ["never.py", "5", "5", "0%", "0", "never", "imported"]
    assert rows[3].split()[0] == "program.py"


def test_data_of_the_first_format_is_read_and_combined(project, capsys):
    """The scopes of its processes are unknown, and everything else is known."""
    scoped("one", ["main.py"], "")
    in_format(1, Path(".instrument", *files(".instrument")))
    scoped("two", ["main.py", "src/other.py"], "main")
    run("report", "--json")
    before = json.loads(capsys.readouterr().out)
    assert (before["skipped"], before["processes"]) == ([], 2)
    assert {file["path"]: file["hits"] for file in before["files"]} == {
        f"{project}/main.py": 2,
        f"{project}/src/other.py": 1,
    }
    run("combine")
    assert files(".instrument") == ["combined.sqlite"]
    capsys.readouterr()
    run("report", "--json")
    assert json.loads(capsys.readouterr().out) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")
def test_hostile_scopes_and_folders_do_not_block_a_report(tmp_path, capsys):
    """A data file may have any scope and any folder: only sources are read, and the search is bounded."""
    Path("main.py").write_text(NEVER)
    os.mkfifo("pipe.py")
    os.symlink("/dev/zero", "zero.py")
    os.symlink(".", "loop")
    for n, (scope, directory) in enumerate(
        [
            (f"{tmp_path}", "/"),
            ("nul\0\n/nul\0", str(tmp_path)),
            ("", "nul\0"),
            (f"{tmp_path}/pipe.py\n/dev/zero\n/dev/null\n..\n.\n\x1b[31m", "relative"),
            ("", str(tmp_path / "main.py")),
            ("/" + "x" * 5000, "/" + "x" * 5000),
        ]
    ):
        scoped(f"{n}", ["main.py"], scope, directory=directory)
    elsewhere("m", ["/a/../main.py", "/x\0/main.py", "/app/main.py"], NEVER)
    assert run("report", "--missing") == 0
    output = capsys.readouterr()
    assert "\0" not in output.out + output.err
    assert sorted(row[0] for row in table_rows(output.out)) == ["/a/../main.py", "/x\\x00/main.py", "main.py"]


def test_a_file_that_only_ran_elsewhere_is_not_said_to_be_never_imported(shop, capsys):
    """Functions from before the measurement may have been given out, and nothing else of the file may have run."""
    other = "other.py"
    Path(other).write_text(SHOP)
    key = os.path.abspath(other), shop[1]
    write(".instrument", "two", {}, given_out=[(key, "price", 1, "marshal")])
    run("report", "-m", "--include", other)
    assert "never imported" not in capsys.readouterr().out
    run("annotate", "-d", "covers", "--include", other)
    assert ">>>>>>     y = x" in Path("covers/other.cover").read_text()
    assert ">>>>>>     total = 0" not in Path("covers/other.cover").read_text()



def test_a_checkout_may_have_the_name_of_the_package_in_it(tmp_path):
    """The package is the folder with `__init__.py`, not the outermost folder of its name."""
    package = tmp_path / "shop" / "shop"
    package.mkdir(parents=True)
    for name in ("__init__.py", "core.py"):
        (package / name).touch()
    assert paths_of_module("shop", [], [str(package / "core.py")]) == [str(package)]
