"""The commands that make the reports of a run, and their outcomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.cli import COMMANDS
from instrument.pytest_plugin.options import FILES, TERM, TERM_MISSING, Options, Report
from instrument.pytest_plugin.reporting import Commands, Outcome, about_bound, arguments_of_commands, outcome_of

REPORTS = st.builds(Report, st.sampled_from(sorted(FILES)), st.sampled_from(["", "/x/file"])) | st.sampled_from(
    [Report(TERM), Report(TERM_MISSING)]
)
OPTIONS = st.builds(
    Options,
    scope=st.just([]),
    reports=st.lists(REPORTS, unique_by=lambda report: (report.kind.removesuffix("-missing"), report.path)),
    fail_under=st.sampled_from(["", "50"]),
    with_branches=st.booleans(),
    appends=st.booleans(),
    is_quiet=st.booleans(),
)


@given(OPTIONS, st.booleans())
def test_each_report_has_a_command_and_bounds_are_checked_once(options, is_bound_in_file):
    """Each command gets the data. The command `report` alone checks bounds, and it knows branches."""
    has_bounds = bool(options.fail_under) or is_bound_in_file
    commands = arguments_of_commands(options, "/data", has_bounds=has_bounds)
    tables = [arguments for arguments in commands if arguments[0] == "report"]

    assert all(arguments[0] in COMMANDS and arguments[1] == "/data" for arguments in commands)
    assert [arguments[0] for arguments in commands if arguments[0] != "report"] == [
        report.kind for report in options.reports if report.kind in FILES
    ]
    assert len(tables) == (has_bounds or any(report.kind not in FILES for report in options.reports))
    for table in tables:
        assert ("--fail-under" in table) == bool(options.fail_under)
        assert ("--branch" in table) == options.with_branches
        assert ("--missing" in table) == (Report(TERM_MISSING) in options.reports)


def test_the_path_of_a_file_is_an_argument_of_its_command():
    """Without a path, the command takes the usual one."""
    reports = [Report("lcov", "/x/a"), Report("annotate", "/x/b"), Report("html")]
    options = Options([], reports, "", False, False, False, False)

    assert arguments_of_commands(options, "/data", has_bounds=False) == [
        ["lcov", "/data", "--output", "/x/a"],
        ["annotate", "/data", "--directory", "/x/b"],
        ["html", "/data"],
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err", "outcome"),
    [
        (["report", "d"], 0, "a\nb\n", "Stale\n", Outcome(0, ["a", "b", "Stale"], [])),
        (["report", "d", "--format", "total"], 0, "98\n", "Stale\n", Outcome(0, ["Stale"], [])),
        (["report", "d"], 2, "a\n", "instrument: 5% ran\n", Outcome(2, ["a"], ["instrument: 5% ran"])),
        (
            ["report", "d", "--format", "total"],
            2,
            "5\n",
            "No\ninstrument: 5%\n",
            Outcome(2, ["No"], ["instrument: 5%"]),
        ),
        (["html", "d"], 1, "", "instrument: no jinja2\n", Outcome(1, [], ["instrument: no jinja2"])),
        (
            ["annotate", "d"],
            1,
            "",
            "Cannot write\n",
            Outcome(1, ["Cannot write"], ["instrument: `instrument annotate` has failed, with status 1"]),
        ),
        (
            ["xml", "d"],
            1,
            "half\n",
            "Traceback (most recent call last):\n  File\nValueError: x\n",
            Outcome(1, ["ValueError: x"], ["instrument: `instrument xml` has failed, with status 1"]),
        ),
        (["json", "d"], -9, "", "", Outcome(-9, [], ["instrument: `instrument json` has failed, with status -9"])),
    ],
)
def test_an_outcome_has_lines_and_a_problem_if_the_command_fails(arguments, status, out, err, outcome):
    """The number of `--format total` is no line. A traceback becomes its last line."""
    assert outcome_of(arguments, status, out, err) == outcome


def test_a_message_about_a_bound_has_words_of_pytest():
    """Only whole words are replaced: a file may have an option in its name."""
    for problem, text in (
        ("instrument: 5.00% of lines ran, 1.00 points below --fail-under 6", "FAIL: 5.00% of lines ran, 1.00 points below --instrument-fail-under 6"),
        ("instrument: --fail-under-branch 5: x--omit (1)", "FAIL: --fail-under-branch 5: x--omit (1)"),
        ("instrument: leave them out by --omit", "FAIL: leave them out by the key omit in [tool.instrument] of pyproject.toml"),
    ):
        assert about_bound(problem) == text


def test_a_command_that_cannot_be_run_is_a_problem_in_one_line(tmp_path):
    """The folder may be gone, or the interpreter."""
    commands = Commands(str(tmp_path / "gone"))
    status, lines, [problem] = commands.run(["lcov", "/data"], has_colours=False)

    assert (status, lines) == (1, [])
    assert problem.startswith("instrument: there is no report (lcov): ")
    assert "No such file" in problem
