"""A scope selects modules by dotted names and paths; without any, it selects the project's own code."""

import json
import os
import subprocess
import sys

import pytest

import instrument
from instrument.scope.project import Scope, _resolved

STDLIB = os.path.dirname(os.__file__)


def test_a_scope_of_names_selects_no_file_of_this_package():
    """Source files of one folder are examined once, so each folder has an answer of its own."""
    scope = Scope(["instrument", "shop"])
    package = os.path.dirname(instrument.__file__)

    for file in (instrument.__file__, f"{package}/trace.py", f"{package}/scope/project.py", f"{package}/link/../cli.py"):
        assert not scope.selects("instrument", file)
        assert "a part of instrument itself" in scope.explain("instrument", file)
    assert scope.selects("shop", f"{os.path.dirname(package)}/shop.py")
    assert scope.selects("instrument.trace", "/srv/me/instrument/trace.py")
    assert not scope.selects("json", json.__file__)


@pytest.mark.parametrize(
    ("file", "selected", "reason"),
    [
        ("/srv/me/project/module.py", True, "the project's own code"),
        ("module.py", True, "the project's own code"),
        (json.__file__, False, "in the standard library"),
        (f"{STDLIB}/site-packages/pkg/__init__.py", False, "installed in a site-packages folder"),
        ("/usr/lib/python3/dist-packages/apt.py", False, "installed in a dist-packages folder"),
        ("/srv/me/project/site-packages.py", True, "the project's own code"),
        (f"{STDLIB}-like/module.py", True, "the project's own code"),
        ("<frozen importlib._bootstrap>", False, "comes from no file"),
        ("<string>", False, "comes from no file"),
        ("", False, "comes from no file"),
        (instrument.__file__, False, "a part of instrument itself"),
    ],
)
def test_a_scope_without_items_selects_own_code(file, selected, reason):
    """Own code is neither in the standard library nor in a folder of installed packages."""
    scope = Scope()

    assert scope.selects("module", file) == selected
    assert reason in scope.explain("module", file)


@pytest.mark.parametrize(
    ("name", "selected"),
    [("pkg", True), ("pkg.a", True), ("pkg.a.b", True), ("pkgs", False), ("other", False), ("a.pkg", False)]
    + [(None, False), ("x.y", True), ("x", False), ("x.yz", False)],
)
def test_dotted_names_select_modules_and_packages_with_all_modules_in_them(name, selected):
    """It does not matter where they are installed."""
    assert Scope(["pkg", "x.y"]).selects(name, "/lib/site-packages/somewhere.py") == selected


def test_paths_select_files_and_folders(tmp_path):
    """Paths with links or dots select the same files."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "module.py").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.py").symlink_to("../real/module.py")
    (tmp_path / "elsewhere" / "other.py").touch()

    for item in (real, tmp_path / "link", real / "module.py"):
        scope = Scope([str(item)])
        assert scope.selects(None, str(real / "module.py")), item
        assert scope.selects(None, str(tmp_path / "link" / "module.py")), item
        assert scope.selects(None, str(tmp_path / "no" / ".." / "real" / "." / "module.py")), item
        assert scope.selects(None, str(tmp_path / "elsewhere" / "link.py")), item
        assert not scope.selects(None, str(tmp_path / "elsewhere" / "other.py")), item
        assert not scope.selects(None, str(tmp_path / "realm.py")), item
        assert not scope.selects(None, str(tmp_path / "real.py")), item


def test_relative_file_names_start_from_the_working_directory_at_the_beginning(tmp_path, monkeypatch):
    """The program may change its working directory later."""
    monkeypatch.chdir(tmp_path)
    scope = Scope([str(tmp_path / "src")])
    monkeypatch.chdir("/")

    assert scope.selects(None, "src/module.py")


def test_items_that_have_selected_nothing_are_unmatched():
    """An item is matched as soon as it has selected a module."""
    scope = Scope(["pkg", "other", "/no/such/folder"])
    assert scope.unmatched() == ("pkg", "other", "/no/such/folder")

    scope.selects("pkg.a", "/a.py")
    scope.selects("pkg.a", "/a.py")

    assert scope.unmatched() == ("other", "/no/such/folder")
    assert Scope().unmatched() == ()


def test_own_code_can_be_an_item_beside_names_and_paths():
    """The item is `1`, and is never unmatched."""
    scope = Scope(["1", "json"])

    assert scope.selects("module", "/srv/me/project/module.py")
    assert scope.selects("json", json.__file__)
    assert not scope.selects("os", os.__file__)
    assert "in the standard library" in scope.explain("os", os.__file__)
    assert Scope(["1", "json"]).unmatched() == ("json",)


def test_installed_scripts_are_not_own_code(tmp_path):
    """A script in the folder of installed scripts counts as installed, but a scope can name it."""
    script = os.path.join(sys.prefix, "bin", "gunicorn")

    assert not Scope().selects("__main__", script)
    assert "the folder of installed scripts" in Scope().explain("__main__", script)
    assert not Scope(["1", "json"]).selects("__main__", script)
    assert Scope([script]).selects("__main__", script)
    assert Scope().selects("__main__", os.path.join(sys.prefix, "bin", "tools", "mine.py"))
    assert Scope().selects("__main__", str(tmp_path / "bin" / "tool"))


WRAPPERS = {
    "pip": "import re\nimport sys\nfrom a import b\nif __name__ == '__main__':\n"
    "    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    sys.exit(b())\n",
    "newer pip": "import sys\nfrom a import b\nif __name__ == '__main__':\n"
    "    sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    sys.exit(b())\n",
    "uv": "import sys\nfrom a import b\nif __name__ == '__main__':\n"
    '    if sys.argv[0].endswith("-script.pyw"):\n        sys.argv[0] = sys.argv[0][:-11]\n    sys.exit(b())\n',
    "setuptools": "__requires__ = 'a'\nimport sys\n"
    "if __name__ == '__main__':\n    sys.exit(load_entry_point('a', 'console_scripts', 'b')())\n",
}


@pytest.mark.parametrize("maker", WRAPPERS)
def test_scripts_that_installers_create_are_not_own_code(tmp_path, maker):
    """Their text identifies them in any folder, such as ~/.local/bin."""
    script = tmp_path / "tool"
    script.write_text(f"#!/usr/bin/python3\n# -*- coding: utf-8 -*-\n{WRAPPERS[maker]}", encoding="utf-8")
    (tmp_path / "mine").write_text("#!/usr/bin/python3\nimport sys\nsys.exit(len(sys.argv))\n", encoding="utf-8")

    assert not Scope().selects("__main__", str(script))
    assert "starts an installed package" in Scope().explain("__main__", str(script))
    assert Scope().selects("tool", str(script))  # a module, with the same text
    assert Scope().selects("__main__", str(tmp_path / "mine"))


def test_instrument_itself_is_never_selected():
    """A scope that names the package does not select it either."""
    assert not Scope(["instrument"]).selects(
        "instrument.cli", os.path.join(os.path.dirname(instrument.__file__), "cli.py")
    )


@pytest.mark.parametrize("arguments", [["-m", "pkg.tool"], ["pkg/tool.py"]])
def test_the_main_program_has_the_name_that_it_would_be_imported_by(tmp_path, arguments):
    """`python -m pkg.tool` is in the scope pkg. A script has its bare name."""
    program = (
        "from instrument.scope.project import Scope\n"
        "print([Scope([name]).selects(__name__, __file__) for name in ('pkg', 'pkg.tool', 'tool', '__main__')])"
    )
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "tool.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)

    assert finished.stderr == ""
    expected = [True, True, False, False] if arguments[0] == "-m" else [False, False, True, False]
    assert finished.stdout == f"{expected}\n"


def test_links_are_resolved_as_os_path_realpath_does(tmp_path):
    """Links that form a circle stay as they are."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("b")
    (tmp_path / "a" / "up").symlink_to("../c/file")
    (tmp_path / "round").symlink_to("round")

    for path in ("a", "b/x", "c/y/../z", "c/up", "a/none"):
        assert _resolved(str(tmp_path / path), set()) == os.path.realpath(tmp_path / path), path
    assert _resolved(str(tmp_path / "round"), set()) == str(tmp_path / "round")
