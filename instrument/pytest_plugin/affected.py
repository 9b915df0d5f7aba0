"""Runs only the tests that changes of the sources affect: `--instrument-affected`.

The options of pytest come in. The command `instrument affected` finds the tests, in a process of its own: this one may
be measured. The other tests are deselected. Workers of xdist get the tests from the main process, so all deselect the
same.
"""

from __future__ import annotations

import json

import pytest

from instrument.pytest_plugin.counted_run import is_worker
from instrument.pytest_plugin.recording import options_with_effect
from instrument.pytest_plugin.reporting import Commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

NAME = "instrument-affected"
#: The key of the document in the input of a worker of xdist.
_INPUT = "instrument_affected"
#: The most reasons that the header of the run shows.
_MOST_REASONS = 3


class Deselection:
    """The hooks that deselect tests; *document* is the JSON of `instrument affected`, None in a worker of xdist."""

    def __init__(self, document: dict[str, Any] | None) -> None:
        self._document = document
        self._reasons: list[str] = []
        self._has_deselected = False

    @property
    def runs_all(self) -> bool:
        """Whether all tests must run, as far as the command knows."""
        return self._document is None or bool(self._document["all"])

    def pytest_configure(self, config: pytest.Config) -> None:
        """Get the document in a worker of xdist; elsewhere compare the options with those of the earlier run."""
        workerinput = getattr(config, "workerinput", None)
        if workerinput is not None:
            self._document = json.loads(workerinput[_INPUT])
            return
        assert self._document is not None
        self._reasons = list(self._document["reasons_for_all"])
        options = options_with_effect(config)
        for earlier in self._document["options"]:
            for name in sorted({*options, *earlier}):
                if options.get(name) != earlier.get(name) and not self._reasons:
                    now, then = options.get(name, "missing"), earlier.get(name, "missing")
                    self._reasons.append(f"the option {name!r} of pytest is {now}, and was {then}")
        self._document["all"] = bool(self._reasons)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give the document to the worker *node* of xdist."""
        node.workerinput[_INPUT] = json.dumps(self._document)

    def pytest_report_header(self) -> list[str]:
        """Return a line that says how many tests are affected, or why all run."""
        return [self._line()]

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        """Print this line at the end if the option -q of pytest leaves out the header."""
        if config.option.verbose < 0:
            terminalreporter.write_line(self._line())

    def _line(self) -> str:
        assert self._document is not None
        if self._reasons:
            more = f"; and {len(self._reasons) - _MOST_REASONS} more" if len(self._reasons) > _MOST_REASONS else ""
            return f"instrument: all tests run: {'; '.join(self._reasons[:_MOST_REASONS])}{more}"
        n_known, n_affected = len(self._document["known"]), len(self._document["tests"])
        things, verb = "test" if n_known == 1 else "tests", "is" if n_affected == 1 else "are"
        return f"instrument: {n_affected} of {n_known} {things} {verb} affected; new tests run, too"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the tests of *items* that are not affected."""
        assert self._document is not None
        if self._document["all"]:
            return
        known = set(self._document["known"])
        affected = {each["test"] for each in self._document["tests"]}
        modules = {each["path"] for each in self._document["modules"]}
        kept: list[pytest.Item] = []
        left_out: list[pytest.Item] = []
        for item in items:
            name = item.nodeid
            must_run = name not in known or name in affected or name.partition("::")[0] in modules
            (kept if must_run else left_out).append(item)
        if left_out:
            self._has_deselected = True
            config.hook.pytest_deselected(items=left_out)
            items[:] = kept

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Let the run succeed if no test was affected."""
        result = yield
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._document and not self._document["all"]:
            session.exitstatus = pytest.ExitCode.OK
        return result


def select(config: pytest.Config) -> Deselection:
    """Find the affected tests by the options of *config*; return the hooks.

    Raise UsageError if there is no such commit, or if the command fails.
    """
    if is_worker():
        return Deselection(None)
    given = config.known_args_namespace
    ignored = [*(given.instrument_affected_ignore or []), *config.getini("instrument_affected_ignore")]
    arguments = ["affected", "--format", "json", *(f"--ignore={pattern}" for pattern in ignored)]
    if given.instrument_affected:
        arguments += ["--", given.instrument_affected]
    status, out, err = Commands(str(config.invocation_params.dir)).output(arguments)
    try:
        if status:
            raise ValueError
        document = json.loads(out)
    except ValueError:
        lines = [line for line in err.splitlines() if line] or [
            f"`instrument affected` has failed, with status {status}"
        ]
        raise pytest.UsageError(f"--instrument-affected: {lines[-1].removeprefix('instrument: ')}") from None
    return Deselection(document)
