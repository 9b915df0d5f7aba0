"""The list of unused code: functions and lines by file, with the time of their last use."""

import json
import time
from pathlib import Path

from processes import process
from reporting import NEVER, SHOP_COUNTS, run
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.analysis.source_file import version_of
from instrument.data.writer import Writer


def test_short_periods_are_shown_with_the_time_of_day(capsys):
    """A date alone says nothing about today; classes and modules have their own words."""
    now = time.time()
    path = Path("m.py").absolute()
    path.write_text(NEVER)
    key = str(path), version_of(NEVER.encode())
    writer = Writer(".instrument", process("one"))
    writer.process.started = now - 3000
    functions = {("<module>", 1): (1, now - 2000, now - 2000), ("C", 5): (1, now - 2000, now - 2000)}
    lines = dict.fromkeys((1, 5, 6), (1, now - 2000, now - 2000)) | {2: (1, now, now)}
    writer.write({"lines": [(key, lines)], "functions": [(key, functions)]}, {}, "exit")
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now - 2000))
    run("report", "--unused-for", "15m")
    output = capsys.readouterr().out.splitlines()
    assert output[0].startswith("Not used since 2")
    assert output[0].count(":") == 3
    assert output[1].startswith("(Not certain: counts are saved up to 3000 s after code ran,")
    assert output[2:] == [
        "m.py",
        f"    module level  last {moment}",
        f"    class C (line 5)  last {moment}",
        "    function C.m (line 6)  never",
        "    line 7  never",
        f"    lines 1, 5-6  last {moment}",
    ]
    run("report", "--unused-for", "15m", "--json")
    data = json.loads(capsys.readouterr().out)
    assert abs(data["unused_since"] - (now - 900)) < 60
    [file] = data["files"]
    assert [(each["name"], each["kind"], each["last"]) for each in file["unused"]["functions"]] == [
        ("<module>", "module", now - 2000),
        ("C", "class", now - 2000),
        ("C.m", "function", None),
    ]
    assert file["unused"]["lines"] == {"1": now - 2000, "5": now - 2000, "6": now - 2000, "7": None}
    run("report", "--json")
    assert "unused" not in json.loads(capsys.readouterr().out)["files"][0]


def test_unused_code_is_listed(shop, capsys):
    """Functions and lines that were not used for a time, or never, are listed by file."""
    now = time.time()
    day = 86400.0
    writer = Writer(".instrument", process("two"))
    writer.process.started = now - 100 * day
    lines = {line: (1, now - 90 * day, now - (40 * day if line in (4, 7) else 0)) for line in (*SHOP_COUNTS, 5)}
    writer.write({"lines": [(shop, lines)], "functions": [(shop, {("price", 1): (1, now, now)})]}, {}, "exit")
    assert run("report", "--unused-for", "30d") == 0
    old = time.strftime("%Y-%m-%d", time.localtime(now - 40 * day))
    output = capsys.readouterr().out.splitlines()
    # One flush after 100 days does not say when in these days code ran.
    assert output[1].startswith("(Not certain: counts are saved up to 8640000 s after code ran,")
    assert output[2:] == [
        "shop.py",
        "    function refund (line 11)  never",
        "    lines 13-14  never",
        f"    lines 4, 7  last {old}",
    ]
    run("report", "--unused-for", "50d")
    assert "last" not in capsys.readouterr().out
    run("report", "--unused-for", "300d")
    assert "what is older than that is not known" in capsys.readouterr().out

