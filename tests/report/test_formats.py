"""Formats of the report: a module of the folder that declares one is found, and gets the lines that it needs."""

import sys

import pytest
from reporting import in_own_folder as in_own_folder
from reporting import run
from reporting import shop as shop

from instrument import report
from instrument.report.formats import OPTIONS, formats

#: A format for programs, in a module of its own.
MODULE = '''
from instrument.report.formats import Format

def write_analysis(analysis, out, choices):
    for file in analysis.sorted_files(choices.sort):
        for line, count in sorted(file.counts.lines.counts().items()):
            print(f"{line}\\t{count}", file=out)

FORMAT = Format("tsv", write_analysis, help="lines and counts")
'''


@pytest.fixture
def tsv(tmp_path, monkeypatch):
    """Put a module with the format `tsv` into a folder that belongs to `instrument.report`."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "tsv_lines.py").write_text(MODULE)
    monkeypatch.setattr(report, "__path__", [*report.__path__, str(tmp_path / "more")])
    yield
    sys.modules.pop("instrument.report.tsv_lines", None)
    vars(report).pop("tsv_lines", None)


def test_the_formats_of_the_package_are_found():
    """Each has a name and a help, and takes the options that it needs."""
    found = formats()

    assert {"json", "markdown", "table", "total", "unused"} <= set(found)
    for name, each in found.items():
        assert each.name == name
        assert each.help
        assert {*each.needs} <= {*each.takes} <= {*OPTIONS}


def test_a_new_module_is_a_new_format(tsv, shop, capsys):
    """The command finds it, keeps the lines for it, and prints the remarks to standard error."""
    assert run("report", "--format", "tsv") == 0

    assert capsys.readouterr().out == "1\t1\n2\t1\n3\t4\n4\t3\n7\t3\n8\t1\n11\t1\n17\t1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "tsv", "--missing"], "--missing has no effect on --format tsv"),
        (["--format", "tsv", "--unused-for", "1d"], "--unused-for has no effect on --format tsv"),
        (["--format", "table", "--unused-for", "1d"], "--unused-for has no effect on --format table"),
        (["--format", "unused"], "--format unused needs --unused-for"),
        (["--format", "tsv", "--json"], "argument --json: not allowed with argument --format"),
        (["--format", "nonsense"], "invalid choice: 'nonsense'"),
    ],
)
def test_options_that_do_not_fit_a_format_are_refused(tsv, shop, capsys, arguments, message):
    """The message names the option and the format."""
    with pytest.raises(SystemExit) as ended:
        run("report", *arguments)
    output = capsys.readouterr()

    assert ended.value.code == 2
    assert message in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ([], ["--format", "table"]),
        (["--missing"], ["--format", "table", "--missing"]),
        (["--json"], ["--format", "json"]),
        (["--json", "--missing"], ["--format", "json"]),
        (["--unused-for", "4w"], ["--format", "unused", "--unused-for", "4w"]),
    ],
)
def test_older_options_choose_a_format(shop, capsys, short, long):
    """`--json` and `--unused-for` alone are as `--format json` and `--format unused`."""
    assert run("report", *short) == 0
    output = capsys.readouterr()
    assert run("report", *long) == 0

    assert capsys.readouterr() == output


@pytest.mark.parametrize("name", formats())
def test_each_format_writes_all_that_it_needs(shop, capsys, name):
    """A format that reads lines, although it declares that it needs none, fails here."""
    needs = ["--unused-for", "1d"] if formats()[name].needs else []
    assert run("report", "--format", name, *needs) == 0
    assert capsys.readouterr().out
