"""Measured files and the files on this machine: which ones are the same source."""

import json
from pathlib import Path

import pytest
from processes import write
from reporting import elsewhere, measured, run, scoped, table_rows
from reporting import in_own_folder as in_own_folder

from instrument.errors import ConfigError


def test_the_same_source_under_two_roots_is_one_row(tmp_path, capsys):
    """Counts from a container are added to those of the same source here."""
    source = "x = 1\ny = 2\n"
    Path("pkg").mkdir()
    for name in ("__init__", "m"):
        Path(f"pkg/{name}.py").write_text(source if name == "m" else "")
    elsewhere("m", ["/app/pkg/m.py", tmp_path / "pkg" / "m.py", "/srv/checkout/pkg/m.py"], source)
    run("report", "--missing")
    output = capsys.readouterr()
    assert table_rows(output.out) == [["pkg/m.py", "2", "1", "50%", "3", "1:", "3", "2"]]
    assert f"Same source: '/app/pkg/m.py' is '{tmp_path}/pkg/m.py' here" in output.err
    run("report", "--json")
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert file["measured_at"] == ["/app/pkg/m.py", "/srv/checkout/pkg/m.py", f"{tmp_path}/pkg/m.py"]
    run("annotate")
    assert Path("pkg/m.cover").read_text() == "    3: x = 1\n>>>>>> y = 2\n"


def test_a_source_that_was_only_measured_elsewhere_is_found_here(tmp_path, capsys):
    """A checkout with the same content is found."""
    source = "x = 1\n"
    Path("src/pkg").mkdir(parents=True)
    Path("src/pkg/__init__.py").write_text("")
    Path("src/pkg/m.py").write_text(source)
    elsewhere("m", ["/app/src/pkg/m.py", "/ci/build/src/pkg/m.py"], source)
    run("report")
    assert capsys.readouterr().out.splitlines()[2].split() == ["src/pkg/m.py", "1", "0", "100%", "2", "1:", "2"]


def test_sources_that_may_differ_are_not_put_together(tmp_path, capsys):
    """These are other versions, modules of other packages, sources that fit two files, and two files that exist here."""
    for name in ("one/pkg/__init__.py", "two/pkg/__init__.py", "one/a/__init__.py", "two/b/__init__.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x = 1\n")
    both = [tmp_path / name for name in ("one/pkg/__init__.py", "two/pkg/__init__.py", "one/a/__init__.py")]
    elsewhere("m", [*both, "/app/pkg/__init__.py", "/app/c/__init__.py"], "x = 1\n")
    write(".instrument", "other", {("/app/a/__init__.py", "sha256:" + "0" * 64): {1: 1}})
    Path("one/d").mkdir()
    Path("one/d/__init__.py").write_text("y = 1\n")
    elsewhere("n", [tmp_path / "one/d/__init__.py", "/app/e/__init__.py"], "y = 1\n")
    run("report")
    output = capsys.readouterr()
    rows = [row[0] for row in table_rows(output.out)]
    assert rows == [
        "/app/a/__init__.py",
        "/app/c/__init__.py",
        "/app/e/__init__.py",
        "/app/pkg/__init__.py",
        "one/a/__init__.py",
        "one/d/__init__.py",
        "one/pkg/__init__.py",
        "two/pkg/__init__.py",
    ]
    assert "Same source" not in output.err


def test_a_copy_of_what_ran_is_not_called_never_imported(tmp_path, capsys):
    """If an installed package ran, its sources in the project are left out with a remark, or are the same file."""
    for folder in ("src", "lib/site-packages"):
        Path(folder, "pkg").mkdir(parents=True)
        Path(folder, "pkg/__init__.py").write_text("x = 1\n")
        Path(folder, "pkg/m.py").write_text("x = 1\ny = 2\n")
    Path("src/pkg/more.py").write_text("x = 1\n")
    Path("main.py").write_text("import pkg.m\n")
    Path("tools").mkdir()
    Path("tools/main.py").write_text("import pkg.m\n")  # the same as another file of the project, and no copy of it
    installed = tmp_path / "lib" / "site-packages" / "pkg"
    scoped("one", ["main.py", installed / "__init__.py", installed / "m.py"], "1\npkg")
    run("report")
    output = capsys.readouterr()
    rows = [row[0] for row in table_rows(output.out)]
    others = ["main.py", "src/pkg/more.py", "tools/main.py"]
    assert rows == ["lib/site-packages/pkg/__init__.py", "lib/site-packages/pkg/m.py", *others]
    assert (
        f"Left out: 2 files of which a copy ran, such as '{tmp_path}/src/pkg/__init__.py', "
        f"which ran as '{installed}/__init__.py'; [tool.instrument.paths] can say" in output.err
    )
    Path("pyproject.toml").write_text('[tool.instrument.paths]\npkg = ["src", "*/site-packages"]\n')
    run("report")
    output = capsys.readouterr()
    rows = [row[0] for row in table_rows(output.out)]
    assert rows == ["main.py", "src/pkg/__init__.py", "src/pkg/m.py", "src/pkg/more.py", "tools/main.py"]
    assert "Left out" not in output.err


def test_installed_copies_of_what_was_never_imported_are_named(tmp_path, monkeypatch, capsys):
    """A remark names the installed copy of a source if that copy is not in the scope."""
    for folder in ("src", "lib/site-packages"):
        Path(folder, "pkg").mkdir(parents=True)
        Path(folder, "pkg/__init__.py").write_text("x = 1\n")
    Path("src/pkg/edited.py").write_text("x = 1\n")
    Path("lib/site-packages/pkg/edited.py").write_text("x = 2\n")
    Path("main.py").write_text("import pkg\n")
    monkeypatch.syspath_prepend(tmp_path / "lib" / "site-packages")
    scoped("one", ["main.py"], "")
    run("report")
    errors = capsys.readouterr().err
    assert (
        f"Never imported from here: 1 file of which a copy is installed, such as '{tmp_path}/src/pkg/__init__.py'; "
        f"'{tmp_path}/lib/site-packages/pkg/__init__.py' may have run in its place" in errors
    )


def test_the_user_can_say_which_folders_are_the_same(tmp_path, capsys):
    """As in coverage.py, the first of each list stands for the others, whether or not they exist here."""
    Path("pyproject.toml").write_text(
        '[tool.instrument.paths]\nsource = ["src", "/app/src", "*/checkout/src", "old"]\n'
    )
    for folder in ("src", "old"):
        Path(folder).mkdir()
        Path(folder, "m.py").write_text("x = 1\n")
    places = ["/app/src/m.py", "/ci/1/checkout/src/m.py", tmp_path / "old" / "m.py", tmp_path / "src" / "m.py"]
    elsewhere("m", places, "x = 1\n")
    elsewhere("gone", ["/app/src/gone.py", "/ci/2/checkout/src/gone.py"], "y = 1\n")
    run("report")
    assert table_rows(capsys.readouterr().out) == [
        ["src/gone.py", "(missing)", "-", "-", "-", "2", "1:", "2"],
        ["src/m.py", "1", "0", "100%", "4", "1:", "4"],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("paths = 3", "is a number; it must be a table"),
        ('[tool.instrument.paths]\nx = ["a"]', "'x' must be a list of two or more folders"),
        ('[tool.instrument.paths]\nx = ["*/a", "b"]', "must begin with the local folder"),
    ],
)
def test_folders_that_make_no_sense_are_refused(words, message):
    """The message names the file and the key."""
    measured("m.py", "x = 1\n", {1: 1})
    Path("pyproject.toml").write_text(f"[tool.instrument]\n{words}\n")
    with pytest.raises(ConfigError, match=rf"pyproject.toml, \[tool.instrument\], key 'paths'.*{message}"):
        run("report")

