"""Registers the state that modules of this package keep for the process, so that forks and tests can reset it.

A module keeps its mutable state in one instance of a subclass of `ProcessState`. In a forked child,
`after_fork_in_child` is called on each instance, in the order in which the instances were made. A lone container that
children keep needs no class: `cleared_on_reset` registers it. Tests call `reset_all`.

Problem: a child process inherits locks that no thread will release, and facts that are true of its parent only.
Solution: one callback of `os.register_at_fork` for the whole package. A fork by C code calls no such callback, so
`hooks.process` calls `note_fork` itself when it finds a new process id.
Alternatives: one callback for each module. That was the case before: nobody could list the state, or call them all.
"""

# No `from __future__ import annotations`: see instrument.guest.
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    #: A list, a dictionary or a set.
    Container = TypeVar("Container", "list[Any]", "dict[Any, Any]", "set[Any]")


class ProcessState:
    """The state of one module. A subclass names its fields in `__slots__`, and sets all of them in `reset`."""

    __slots__ = ()

    def __init__(self) -> None:
        self.reset()
        _states.append(self)

    def reset(self) -> None:
        """Set each field to its value in a process in which nothing was measured yet."""
        raise NotImplementedError

    def after_fork_in_child(self) -> None:
        """Reset the fields that are true of the parent process only. Unless overridden, the child keeps all fields."""


#: All states, in the order in which they were made.
_states: "list[ProcessState]" = []
#: The containers of `cleared_on_reset`.
_containers: "list[Any]" = []


def cleared_on_reset(container: "Container") -> "Container":
    """Return *container*, which is empty, after registering it: `reset_all` clears it in place, a fork leaves it."""
    _containers.append(container)
    return container


def note_fork() -> None:
    """Call `after_fork_in_child` on all states. Calling this twice in one child does no harm."""
    for state in _states:
        state.after_fork_in_child()


def states() -> "list[ProcessState]":
    """Return all states, in the order in which they were made."""
    return list(_states)


def reset_all() -> None:
    """Reset all states, and clear all registered containers. Only tests call this, while nothing is measured."""
    for state in _states:
        state.reset()
    for container in _containers:
        container.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=note_fork)
