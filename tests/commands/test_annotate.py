"""`instrument annotate`: listings of sources with counts."""

import os
from pathlib import Path

import pytest
from processes import files, write
from reporting import LISTING, measured, run
from reporting import in_own_folder as in_own_folder
from reporting import shop as shop

from instrument.analysis.source_file import version_of
from instrument.errors import DataError


def test_one_listing_is_not_many(capsys):
    """The message of `annotate` has the singular for one listing."""
    measured("m.py", "x = 1\n", {1: 1})
    run("annotate")
    assert "1 listing written beside its source\n" in capsys.readouterr().err
    measured("n.py", "x = 1\n", {1: 1})
    run("annotate")
    assert "2 listings written beside their sources\n" in capsys.readouterr().err


def test_listings_are_those_of_trace(shop):
    """Beside the source, or in a folder, every byte is that of `trace`."""
    run("annotate")
    assert Path("shop.cover").read_text() == LISTING
    os.unlink("shop.cover")
    run("annotate", "-d", "new/covers")
    assert files("new/covers") == ["shop.cover"]
    assert Path("new/covers/shop.cover").read_text() == LISTING
    assert not os.path.exists("shop.cover")


@pytest.mark.parametrize(
    "source", [b"# coding: iso-8859-15\nx = '\xa4'\r\ny = 1", b"\xef\xbb\xbfx = '\xc3\xa4'\n\ty = 1\n"]
)
def test_listings_have_the_bytes_of_traces_own(source, tmp_path, capsys):
    """Encodings, byte order marks, line ends and a missing last newline are as in the listings of `trace`."""
    import trace

    source = source.replace(b"\n\ty", b"\ny")
    Path("m.py").write_bytes(source)
    path = str(tmp_path / "m.py")
    write(".instrument", "one", {(path, version_of(source)): {2: 7}})
    trace.CoverageResults({(path, 2): 7}).write_results(True, False, "theirs")
    run("annotate", "-o", "ours")
    [theirs] = files("theirs")
    assert Path("ours/m.cover").read_bytes() == Path("theirs", theirs).read_bytes()


def test_stale_and_partly_measured_sources_get_no_marks(shop, capsys):
    """A stale source has no listing; a source that was measured in part has no `>>>>>>`."""
    write(".instrument", "two", {}, not_measured={shop[0]: "in part"})
    run("annotate", "-d", "covers")
    assert ">>>>>>" not in Path("covers/shop.cover").read_text()
    Path("shop.py").write_text("changed")
    with pytest.raises(DataError, match="no listing"):
        run("annotate", "-d", "none")
    assert "Stale source" in capsys.readouterr().err
    assert not os.path.exists("none")


@pytest.mark.parametrize(
    ("folder", "reason"), [("shop.py", "it is no folder"), ("shop.py/more", "Not a directory"), ("", "No such file")]
)
def test_a_folder_for_listings_that_cannot_be_made_is_named(folder, reason, shop, capsys):
    """One message is enough for all listings."""
    with pytest.raises(DataError, match=f"no listings can be written to '{folder}': {reason}"):
        run("annotate", "-d", folder)
    assert capsys.readouterr().err == ""


def test_listings_never_leave_the_folder(tmp_path):
    """With any name of a source its listing is in the folder, and links there are not followed."""
    source = b"x = 1\n"
    for folder in ("deep/er", "...", "a b"):
        os.makedirs(folder)
        Path(folder, "m.py").write_bytes(source)
    Path("victim").write_text("precious")
    names = ["deep/er/../er/m.py", ".../m.py", "a b/m.py", "deep/er/m.py", "deep//er//m.py"]
    write(".instrument", "one", {(f"{tmp_path}/{name}", version_of(source)): {1: 1} for name in names})
    os.mkdir("covers")
    os.symlink("../victim", "covers/deep.er.m.cover")
    before = set(files("."))
    run("annotate", "-d", "covers")
    assert set(files(".")) == before
    assert Path("victim").read_text() == "precious"
    assert not os.path.islink("covers/deep.er.m.cover")
    assert len(files("covers")) == len(names)
    assert all(Path("covers", name).read_text() == "    1: x = 1\n" for name in files("covers"))


def test_a_listing_that_cannot_be_written_costs_no_other(shop, capsys):
    """It is named, the exit status is 1, and no partial file stays."""
    os.makedirs("covers/shop.cover")
    assert run("annotate", "-d", "covers") == 1
    assert "Cannot write 'covers/shop.cover'" in capsys.readouterr().err
    assert files("covers") == ["shop.cover"]

