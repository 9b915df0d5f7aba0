"""Saves the record of a test run whose counts are saved apart for each test (`analysis.affected.recorded_runs`).

The hooks of pytest come in: reports of tests, and the end of the session. A file in the data folder goes out. The state
of the files is taken when the run begins, since later tests may change them.
"""

from __future__ import annotations

import os
import re
from time import time

import pytest

from instrument.analysis.affected.recorded_runs import (
    PASSED,
    ProjectState,
    RecordedRun,
    distributions,
    state_of,
    version_of_python,
    write,
)
from instrument.analysis.revisions.git import Repository
from instrument.errors import DataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

#: Options of pytest, by their names in its namespace, that choose, show or distribute tests, and change no result.
_WITHOUT_EFFECT = """
file_or_dir keyword markexpr deselect ignore ignore_glob lf failedfirst newfirst last_failed_no_failures
stepwise stepwise_skip stepwise_reset cacheclear cacheshow collectonly keepduplicates maxfail
verbose quiet reportchars tbstyle color code_highlight showlocals durations durations_min show_capture fulltrace
no_header no_summary no_fold_skipped force_short_summary disable_warnings
xmlpath junitprefix pastebin basetemp numprocesses maxprocesses maxworkerrestart dist tx distload looponfail
usepdb trace setuponly setupshow setupplan version help traceconfig debug markers showfixtures
show_fixtures_per_test
"""
_OWN = "instrument_"
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def options_with_effect(config: pytest.Config) -> dict[str, str]:
    """Return the options of *config* that may change the results of tests, as texts, by name."""
    options, without_effect = {}, _WITHOUT_EFFECT.split()
    for name, value in vars(config.option).items():
        if name in without_effect or name.startswith(_OWN):
            continue
        if isinstance(value, list):  # ini options of this plugin change no result
            value = [each for each in value if not str(each).startswith(_OWN)] or None
        text = repr(value)
        if not _ADDRESS.search(text):  # else the text of an equal value is another one in each process
            options[name] = text
    return options


def state_of_project(config: pytest.Config, data_folder: str) -> ProjectState:
    """Return the state of the project of *config* now; its `problem` says why it is not known."""
    try:
        return state_of(Repository(str(config.rootpath)), data_folder)
    except DataError as error:
        return ProjectState("", "", {}, {}, f"{error}")


class RecordingHooks:
    """The hooks that save the record of the run of *config* in *data_folder*, in a file called *name*."""

    def __init__(self, config: pytest.Config, data_folder: str, name: str) -> None:
        self._config, self._data_folder, self._name = config, data_folder, name
        self._state = state_of_project(config, data_folder)
        self._outcomes: dict[str, str] = {}
        self._orders: dict[str, dict[str, None]] = {}
        self._distributions = distributions()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note the outcome of a phase of a test."""
        outcome = PASSED if report.outcome in (PASSED, "skipped") else report.outcome
        if self._outcomes.get(report.nodeid, PASSED) == PASSED:
            self._outcomes[report.nodeid] = outcome
        node = getattr(report, "node", None)  # xdist adds the worker
        worker = node.gateway.id if node is not None else ""
        self._orders.setdefault(worker, {})[report.nodeid] = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Save the record."""
        result = yield
        record = RecordedRun(
            rootdir=str(self._config.rootpath),
            python=version_of_python(),
            state=self._state,
            distributions=self._distributions,
            options=options_with_effect(self._config),
            outcomes=self._outcomes,
            orders=[list(order) for order in self._orders.values()],
            ended=time(),
        )
        try:
            os.makedirs(self._data_folder, mode=0o700, exist_ok=True)
            write(record, self._data_folder, self._name)
        except OSError as error:
            self._config.issue_config_time_warning(
                pytest.PytestWarning(f"instrument: the record of this run cannot be saved: {error}"), 2
            )
        return result
