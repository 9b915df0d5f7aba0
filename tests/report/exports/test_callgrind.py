"""Profiles of Callgrind: costs are read back, by a small reader and by callgrind_annotate; texts forge no record."""

import re
import shutil
import subprocess

import pytest
from exporting import HOSTILE, analysed, files
from hypothesis import given
from hypothesis import strategies as st

from instrument.report.exports import callgrind
from instrument.report.exports.numbers import UNITS, Exported

# Many files are analysed.
pytestmark = pytest.mark.slow


def read(lines):
    """Return the header of a profile as a dict, and a dict from (file, function) to the costs of each line."""
    header, costs, names, place = {}, {}, {"fl": {}, "fn": {}}, {}
    for line in lines:
        if match := re.fullmatch(r"(f[ln])=\((\d+)\)(?: (.*))?", line):
            kind, number, name = match.groups()
            place[kind] = names[kind].setdefault(number, name)
            assert place[kind] is not None
            assert name is None or name == place[kind]
        elif re.fullmatch(r"\d[\d ]*", line):
            number, *numbers = map(int, line.split())
            costs.setdefault((place["fl"], place["fn"]), {})[number] = numbers
        elif line and not line.startswith("#"):
            key, _, value = line.partition(": ")
            header.setdefault(key, []).append(value)
    return header, costs


@given(files(), st.sampled_from([None, *UNITS]))
def test_all_numbers_are_read_back(file, unit):
    """Each line that ran has its costs, in its own function, and the sums are those of the lines."""
    exported = Exported([file], unit if file.flow else None)
    [numbers] = exported.files
    header, costs = read(callgrind.write(exported))
    instructions = numbers.instructions or {}
    expected = {
        line: [count, instructions[line]] if file.flow else [count]
        for line, count in numbers.lines.items()
        if count or instructions.get(line)
    }

    assert {line: cost for lines in costs.values() for line, cost in lines.items()} == expected
    assert header["events"] == ["Hits Instructions" if file.flow else "Hits"]
    columns = zip(*expected.values()) if expected else [[0]] * (2 if file.flow else 1)
    assert header["totals"] == header["summary"] == [" ".join(str(sum(column)) for column in columns)]
    assert exported.unit in header["desc"][0]
    owners = {"<module>": {1, 11, 14, 25}, "price": {2, 3, 4, 5, 7, 8}, "Shop": {15, 16, 19, 20}, "Shop.name": {17}, "Shop.name@19": {21, 22}}
    for (path, name), lines in costs.items():
        assert path == file.path
        assert lines.keys() <= owners[name]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_forge_no_record(tmp_path, text):
    """A file of such a name makes records of the same kinds as others."""
    file = analysed(tmp_path / (re.sub("[/\0\ud800]", "", text)[:80] + ".py"), {1: 5})
    lines = list(callgrind.write(Exported([file])))

    assert all(map(str.isprintable, lines))
    assert [line for line in lines if re.match(r"[\d+*-]", line)] == ["1 5"]
    assert [line[:3] for line in lines if re.match("c?f[a-z]=|ob=|calls=|jump=|jcnd=", line)] == ["fl=", "fn="]


@pytest.mark.skipif(shutil.which("callgrind_annotate") is None, reason="callgrind_annotate is not installed")
@pytest.mark.parametrize("count", [1, 2**31, 2**53 + 1])
def test_callgrind_annotate_reads_the_costs(tmp_path, monkeypatch, count):
    """It shows each line of the source with its cost."""
    monkeypatch.chdir(tmp_path)
    file = analysed(tmp_path / "shop.py", {1: 1, 2: count, 3: count + 1})
    (tmp_path / "profile").write_text("".join(f"{line}\n" for line in callgrind.write(Exported([file]))))
    done = subprocess.run(["callgrind_annotate", "--threshold=100", "profile"], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert f"{2 * count + 2:,}" in done.stdout
    assert re.search(rf"^ *{count:,} .*total = 0$", done.stdout, re.MULTILINE)
    assert re.search(rf"^ *{2 * count + 1:,} .*shop\.py:price", done.stdout, re.MULTILINE)
