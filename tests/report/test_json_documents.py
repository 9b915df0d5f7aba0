"""JSON documents of reports, for other programs."""

import ast
import json
import os
from pathlib import Path

import pytest
from processes import write
from reporting import SHOP_COUNTS, damage, measured, run
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.flow.derived.function_ids import function_ids


@pytest.mark.parametrize("command", [["report", "--json"], ["diff", "--json", ".instrument", ".instrument"]])
def test_json_lists_data_that_is_left_out(command, capsys):
    """The JSON document has the refused files, too."""
    measured("m.py", "x = 1\n", {1: 1})
    reasons = damage()
    run(*command)
    skipped = json.loads(capsys.readouterr().out)["skipped"]

    assert {os.path.basename(each["path"]) for each in skipped} == {f"{name}.sqlite" for name in reasons}
    assert all(each["reason"].startswith(reasons[os.path.basename(each["path"])[:-7]]) for each in skipped)
    assert "copy.sqlite" not in json.dumps(skipped)


def test_json_holds_all_that_is_known(shop, capsys):
    """Other programs get lines, functions, times and missing lines."""
    write(".instrument", "two", {}, not_measured={"/x.py": "why"})
    Path(".instrument/bad.sqlite").write_text("bad")
    run("report", "--json")
    data = json.loads(capsys.readouterr().out)
    [file] = data["files"]
    ids = {name: each for (name, _), each in function_ids(ast.parse(Path(shop[0]).read_text())).items()}
    assert (file["path"], file["version"], file["source"]) == (*shop, "current")
    assert (file["executable"], file["missing"], file["hits"]) == (11, [5, 13, 14], 15)
    assert {int(line): seen["count"] for line, seen in file["lines"].items()} == SHOP_COUNTS
    assert file["functions"] == [
        {"name": "price", "line": 1, "id": ids["price"], "kind": "function", "calls": 1, "first": 100.0, "last": 200.0},
        {"name": "refund", "line": 11, "id": ids["refund"], "kind": "function", "calls": 0, "first": None, "last": None},
    ]
    assert data["not_measured"] == [{"path": "/x.py", "reason": "why"}]
    assert [skipped["path"] for skipped in data["skipped"]] == [".instrument/bad.sqlite"]
    assert data["processes"] == 2


def ids_of(capsys):
    """Return the ids of the functions of the only file, by name; those of unused functions are the same."""
    run("report", "--json", "--unused-for", "0s")
    [file] = json.loads(capsys.readouterr().out)["files"]
    ids = {each["name"]: each["id"] for each in file["functions"]}
    if file["unused"]:
        assert {each["id"] for each in file["unused"]["functions"]} <= {*ids.values()}
    return ids


def test_a_function_keeps_its_id_while_lines_move(capsys, tmp_path):
    """A changed body changes the id. Without the source that ran, ids are null."""
    source = "def f():\n    return 1\n\n\ndef g():\n    return 2\n"
    once = (1, 100.0, 200.0)
    names = {("<module>", 1): once, ("f", 1): once}

    def ids(source, functions):
        for each in Path(".").glob(".instrument/*"):
            each.unlink()
        measured("m.py", source, {1: 1, 2: 1}, functions)
        return ids_of(capsys)

    before = ids(source, names)
    moved = ids(source.replace("def g", "# one\n\n# two\ndef g"), names)
    changed = ids("x = 0\n" + source.replace("2", "3"), {("<module>", 1): once, ("f", 2): once})
    Path("m.py").write_text("pass\n")
    stale = ids_of(capsys)
    Path("m.py").unlink()
    missing = ids_of(capsys)

    assert before == moved
    assert all(before.values())
    assert {name for name in before if before[name] != changed[name]} == {"<module>", "g"}
    assert stale == missing == {"<module>": None, "f": None}
