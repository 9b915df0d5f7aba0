"""Adds options and fixtures to pytest, and has a test run counted if an option asks for it. PYTEST_DONT_REWRITE.

The options of pytest come in. If `--instrument` is among them, `instrument.pytest_plugin.starting` begins to count. The
fixture `counts` gives a test its own counts, with the option or without.

Problem: pytest imports the modules of all plugins in each run. A module of the package `instrument` would import the
package itself. Tests of a project with a package of that name would then get this one.
Solution: the wheel has this file outside of the package, at its root. It imports the package only if that is needed.
Alternative: an import of the package that is undone. Each run of pytest would be some milliseconds slower.
"""

from __future__ import annotations

import copy
import os
import sys
from importlib.machinery import PathFinder

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

_OPTION = "--instrument"
_SIZES = "16,32,64,128,256"
_AFFECTED = "--instrument-affected"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and the ini options to *parser*."""
    group = parser.getgroup("instrument", "exact execution counts")
    group.addoption(
        _OPTION,
        action="append",
        nargs="?",
        const="",
        metavar="SCOPE",
        dest="instrument_scope",
        help="count how often each line runs. --instrument=SCOPE names modules, packages, files or folders, with "
        "commas between them; several options add up (default: the scope in pyproject.toml, or else the project's own "
        "code)",
    )
    group.addoption(
        "--instrument-branch",
        action="store_true",
        default=None,
        help="report the ways of branches, too, and count them in percentages",
    )
    group.addoption(
        "--instrument-report",
        action="append",
        metavar="KIND[:PATH]",
        help="make this report; several options add up. term or term-missing: a table; html:DIR, lcov:FILE, xml:FILE, "
        "json:FILE, callgrind:FILE, coverage:FILE, annotate:DIR: files, with a usual path if none is given; none: no "
        "report (default: term)",
    )
    group.addoption(
        "--instrument-fail-under",
        metavar="PERCENT",
        help="fail if a smaller share of the lines ran; with --instrument-branch also of the ways of branches",
    )
    group.addoption(
        "--instrument-append",
        action="store_true",
        default=None,
        help="add to the counts of earlier runs, which are removed otherwise",
    )
    group.addoption(
        "--instrument-contexts",
        action="store_true",
        default=None,
        help="also save the counts of each test, for `instrument tests` and `instrument show`",
    )
    group.addoption(
        "--instrument-sizes",
        metavar="N,…",
        help="the values of the fixture `size`, with commas between them (default: 16,32,64,128,256)",
    )
    _add_options_of_affected(parser, group)
    parser.addini("instrument_branch", "the same as --instrument-branch", type="bool", default=False)
    parser.addini("instrument_report", "reports, one a line: see --instrument-report", type="linelist")
    parser.addini("instrument_fail_under", "the same as --instrument-fail-under")
    parser.addini("instrument_append", "the same as --instrument-append", type="bool", default=False)
    parser.addini("instrument_contexts", "the same as --instrument-contexts", type="bool", default=False)
    parser.addini("instrument_sizes", "the same as --instrument-sizes", default=_SIZES)


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixture `size` with the sizes of *config*; raise UsageError if one is no whole number from 1 on."""
    text = config.getoption("--instrument-sizes") or config.getini("instrument_sizes")
    words = text.replace(",", " ").split()
    for word in words:
        if not word.isdecimal() or not int(word):
            raise pytest.UsageError(
                f"--instrument-sizes={text}: {word!r} is no size; say whole numbers from 1 on, such as {_SIZES}"
            )
    config.pluginmanager.register(_plugin_of_sizes([*dict.fromkeys(map(int, words))]), "instrument-sizes")


def _plugin_of_sizes(sizes: list[int]) -> object:
    """Return a plugin with the fixture `size`, whose values are *sizes*. A fixture of the project has precedence."""

    class Sizes:
        @pytest.fixture(params=sizes)
        def size(self, request: pytest.FixtureRequest) -> object:
            """A size of the input: the test runs once with each size of --instrument-sizes."""
            return request.param

    return Sizes()


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Generator[object, None, None]:
    """The counts of the test: `with counts.of("shop") as c: …`, then c.calls("shop.db.query"), c.instructions(…)."""
    _check_name(request.config, "the fixture counts")
    from instrument.guest.own_imports import OwnImports

    with OwnImports():
        from instrument.pytest_plugin.counts import counts_of_test
    with counts_of_test() as section:
        yield section


def _add_options_of_affected(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    group.addoption(
        _AFFECTED,
        nargs="?",
        const="",
        metavar="BASE",
        help="run only tests that changes of the sources affect, by the counts of each test of an earlier run: changes "
        "since that run and, with --instrument-affected=BASE, since the commit BASE",
    )
    group.addoption(
        "--instrument-affected-ignore",
        action="append",
        metavar="PATTERN",
        help="changes of these files affect no test: patterns of paths, or folders, with commas between them",
    )
    parser.addini("instrument_affected_ignore", "see --instrument-affected-ignore", type="linelist")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Begin to count before pytest captures output and imports anything of the project, if *args* ask for it."""
    given = early_config.known_args_namespace
    if given.instrument_scope is not None or given.instrument_affected is not None:
        _check_name(early_config, _OPTION)
        _take_no_next_word(early_config, parser, args)
        from instrument.pytest_plugin.starting import start

        start(early_config)
    return (yield)


def _check_name(config: pytest.Config, option: str = _OPTION) -> None:
    """Raise UsageError, with the name of the *option*, if a module of the project of *config* hides the package."""
    # Up to version 8, pytest adds these folders to `sys.path` later.
    folders = [*map(str, config.getini("pythonpath")), *sys.path]
    spec = PathFinder.find_spec("instrument", folders)
    file = spec.origin if spec is not None else None
    if file is not None and not os.path.isdir(os.path.join(os.path.dirname(file), "pytest_plugin")):
        raise pytest.UsageError(
            f"{option}: {file!r} has the name of the package that counts; rename it (README, limit own-name)"
        )


def _take_no_next_word(config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Change options in *args*, which pytest parses later, to options that take no next word as their values.

    For argparse, an optional value is the next word: `tests` of `pytest tests`, if the option is in `addopts`. *config*
    has the result of that, and gets another one.
    """
    n_options = args.index("--") if "--" in args else len(args)
    options = (_OPTION, _AFFECTED)
    if not {*options} & {*args[:n_options]}:
        return
    args[:n_options] = [f"{word}=" if word in options else word for word in args[:n_options]]
    parsed = parser.parse_known_args(args, namespace=copy.copy(config.option))
    namespace = config.known_args_namespace
    for name in ("file_or_dir", "instrument_scope", "instrument_affected"):
        setattr(namespace, name, getattr(parsed, name))
