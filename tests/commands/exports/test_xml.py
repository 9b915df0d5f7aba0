"""`instrument xml`: large documents are split into numbered files."""

from pathlib import Path

import pytest
from lxml import etree
from reporting import in_own_folder as in_own_folder
from reporting import measured, run

SOURCE = "x = 1\n" * 100


def test_large_documents_are_split(capsys):
    """The first file has the name that was given. Files of an earlier export are named."""
    for n in range(6):
        measured(f"m{n}.py", SOURCE, {1: n + 1})
    Path("c.xml").write_text("earlier")
    Path("c-4.xml").write_text("earlier")
    assert run("exports.xml", "-o", "c.xml", "--max-size", 15000) == 0
    messages = capsys.readouterr().err
    found = {}
    for name in ("c.xml", "c-2.xml", "c-3.xml"):
        assert Path(name).stat().st_size <= 15000
        for element in etree.parse(name).getroot().iter("class"):
            found[element.get("filename")] = int(element.find("lines/line").get("hits"))

    assert found == {f"m{n}.py": n + 1 for n in range(6)}
    assert "c.xml, c-2.xml, c-3.xml written: events of 6 files\n" in messages
    assert "c-4.xml is of an earlier export, and is not part of this one: remove it" in messages


def test_standard_output_is_one_document(capsysbinary):
    """A pipe has no second file."""
    for n in range(3):
        measured(f"m{n}.py", SOURCE, {1: 1})
    assert run("exports.xml", "-o", "-", "--max-size", 100) == 0

    assert len(list(etree.fromstring(capsysbinary.readouterr().out).iter("class"))) == 3


def test_impossible_sizes_are_refused(capsys):
    """The message has the text."""
    with pytest.raises(SystemExit):
        run("exports.xml", "--max-size", "10M")

    assert "'10M' is no whole number" in capsys.readouterr().err
