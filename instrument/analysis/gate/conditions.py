"""Conditions: the facts about runs without which a comparison of their work means nothing.

Processes of two measurements come in; sentences about each difference go out.
"""

from __future__ import annotations

import os

from instrument.analysis.runs import count_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.model.measured_process import MeasuredProcess


class Conditions:
    """The conditions of a run, by its *processes*, which are in the order of their start.

    - `pythons`: the versions of Python, such as "3.12.4"
    - `optimized`: whether processes ran with -O, {True, False} if only some did
    - `scopes`: the measured modules of processes; a path in the working directory of its process is relative
    - `n_runs`: how many programs a user started
    """

    def __init__(self, processes: Sequence[MeasuredProcess]) -> None:
        self.pythons = sorted({process.python.partition(" ")[0] for process in processes})
        self.optimized = {process.is_optimized for process in processes}
        self.scopes = {_scope(process) for process in processes}
        self.n_runs = count_runs(processes)


def _scope(process: MeasuredProcess) -> tuple[str, ...] | None:
    """Return the scope of *process*, sorted; None if it is not known."""
    if process.scope is None:
        return None
    folder = os.path.join(process.directory, "")
    items = {item.removeprefix(folder) if item != process.directory else "." for item in process.scope}
    return tuple(sorted(items - {"1"}))


def differences(before: Conditions, after: Conditions) -> list[str]:
    """Return a sentence for each condition that differs in kind, so that amounts of work cannot be compared."""
    sentences = []
    minors_before, minors_after = _minors(before), _minors(after)
    if minors_before != minors_after:
        sentences.append(f"BASE ran on Python {', '.join(minors_before)}, HEAD on Python {', '.join(minors_after)}")
    if before.optimized != after.optimized:
        sentences.append(f"BASE ran {_optimized(before)}, HEAD {_optimized(after)}")
    if before.scopes != after.scopes:
        sentences.append(f"BASE measured {_scopes(before)}, HEAD measured {_scopes(after)}")
    if before.n_runs != after.n_runs:
        sentences.append(f"BASE has {_runs(before.n_runs)}, HEAD has {_runs(after.n_runs)}")
    return sentences


def small_differences(before: Conditions, after: Conditions) -> list[str]:
    """Return a sentence for each condition that differs little, so that amounts of work can be compared."""
    if before.pythons != after.pythons and _minors(before) == _minors(after):
        return [f"BASE ran on Python {', '.join(before.pythons)}, HEAD on Python {', '.join(after.pythons)}"]
    return []


def _minors(conditions: Conditions) -> list[str]:
    return sorted({".".join(version.split(".")[:2]) for version in conditions.pythons})


def _optimized(conditions: Conditions) -> str:
    if len(conditions.optimized) > 1:
        return "partly with -O"
    return "with -O" if True in conditions.optimized else "without -O"


def _scopes(conditions: Conditions) -> str:
    scopes = sorted(conditions.scopes, key=lambda scope: (scope is None, scope or ()))
    words = ["an unknown scope" if scope is None else ", ".join(scope) or "the project's own code" for scope in scopes]
    return " and ".join(words)


def _runs(n: int) -> str:
    return f"{n} run{'' if n == 1 else 's'}"
