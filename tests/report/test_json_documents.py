"""JSON documents of reports, for other programs."""

import json
import os
from pathlib import Path

import pytest
from processes import write
from reporting import SHOP_COUNTS, damage, measured, run
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop


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
    assert (file["path"], file["version"], file["source"]) == (*shop, "current")
    assert (file["executable"], file["missing"], file["hits"]) == (11, [5, 13, 14], 15)
    assert {int(line): seen["count"] for line, seen in file["lines"].items()} == SHOP_COUNTS
    assert file["functions"] == [
        {"name": "price", "line": 1, "kind": "function", "calls": 1, "first": 100.0, "last": 200.0},
        {"name": "refund", "line": 11, "kind": "function", "calls": 0, "first": None, "last": None},
    ]
    assert data["not_measured"] == [{"path": "/x.py", "reason": "why"}]
    assert [skipped["path"] for skipped in data["skipped"]] == [".instrument/bad.sqlite"]
    assert data["processes"] == 2

