"""Checks and converts the values of settings: one parser for each key.

Input: the value that the user wrote, its origin (for messages), and the folder from which relative paths start.
Output: a value for `config.Settings`. A parser raises ConfigError if the value is impossible. The message names the
origin and the possible values.

Measured processes import this module at their start, so it imports nothing that the interpreter has not imported yet.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os

from instrument.guest.own_imports import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Words that turn a switch on or off, in any case of letters.
ON = ("1", "true", "on", "yes")
OFF = ("", "0", "false", "off", "no")

#: The environment variable with the number of the outermost measured process, for its child processes. Only that
#: process says at its end which items of the scope matched nothing: a child that does not load the scope is no mistake.
ROOT = "_INSTRUMENT_ROOT"

#: The environment variable by which the pytest plugin has the work of each context counted apart, if it is "1".
CONTEXTS = "_INSTRUMENT_CONTEXTS"

#: The item of a scope that stands for the project's own code.
OWN = "1"

#: The possible items of a scope, for messages.
ITEMS = "a module or package as `import` does, a file or folder by its path, or 1 for the project's own code"

#: The kinds of `Origin`.
ARGUMENT, ENVIRONMENT, FILE, DEFAULT = "argument", "environment", "file", "default"


class Origin:
    """The source of one setting. `kind` is one of the four constants above; `str()` gives the text for messages."""

    __slots__ = ("_text", "kind")

    kind: str

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self._text = text

    def __str__(self) -> str:
        return self._text


def first_context(environment: Mapping[str, str]) -> str:
    """Return the context in which a process with this *environment* begins: that of the test that has started it.

    pytest names the test there, as "tests/test_shop.py::test_price (call)". Outside of tests, return an empty text.
    """
    name, _, phase = environment.get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    return f"{name}|{phase.strip('()')}" if name else ""


def parse_scope(value: object, origin: Origin, folder: str) -> tuple[str, ...]:
    """Return the items of the scope *value*, with absolute paths; an empty tuple stands for the project's own code.

    Arguments and strings can hold several items with commas between them. Raise ConfigError if an item is impossible.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise errors.ConfigError(f"{origin} is {kind_of(value)}; it must be a list of dotted names and paths")
    if isinstance(value, str) or origin.kind == ARGUMENT:
        texts = [item for text in texts for item in text.split(",")]
    items: list[str] = []
    for text in texts:
        text = text.strip()
        if text:
            item = _scope_item(text, origin, folder)
            if item not in items:
                items.append(item)
    return () if items == [OWN] else tuple(items)


def _scope_item(text: str, origin: Origin, folder: str) -> str:
    """Return the item that *text* names: a dotted name, an absolute path, or OWN. Raise ConfigError if it is none."""
    alternative = alternative_to_pattern(text, folder)
    if alternative:
        raise errors.ConfigError(f"{origin}: {text!r} is a pattern, and a scope takes no patterns; name {alternative}")
    if text.lower() in ON:
        return OWN
    if is_path(text, folder):
        path = os.path.abspath(os.path.join(folder, os.path.expanduser(text)))
        if "," in path:
            raise errors.ConfigError(
                f"{origin}: {path!r} contains a comma, which separates items; name a folder above it"
            )
        return path
    if not _is_dotted_name(text):
        raise errors.ConfigError(f"{origin}: {text!r} is neither a dotted name nor a path that exists; name {ITEMS}")
    return text


def alternative_to_pattern(text: str, folder: str = "") -> str:
    """Return, for messages, an item to name in place of the pattern *text*; "" if *text* is no pattern.

    Relative paths start from *folder*. The name of an existing file is no pattern.
    """
    n = min((text.find(mark) for mark in "*?[" if mark in text), default=-1)
    if n < 0 or os.path.lexists(os.path.join(folder, os.path.expanduser(text))):
        return ""
    parent = text[: text[:n].rfind("/") + 1]
    if not parent and text[n - 1 : n] == "." and _is_dotted_name(text[: n - 1]):
        return f"the package {text[: n - 1]!r}, which includes all modules in it"
    return f"the folder {parent or './'!r}, which includes all files in it, or name files one by one"


def is_path(item: str, folder: str = "") -> bool:
    """Return whether the *item* of a scope is a path; relative paths start from *folder*."""
    if os.sep in item or (os.altsep and os.altsep in item) or item.endswith(".py") or item in (".", "..", "~"):
        return True
    return not _is_dotted_name(item) and os.path.exists(os.path.join(folder, item))


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def parse_dir(value: object, origin: Origin, folder: str) -> str | None:
    """Return the absolute path of the data folder *value*; None if *value* is empty."""
    if not isinstance(value, str):
        raise errors.ConfigError(f"{origin} is {kind_of(value)}; it must be the path of a folder")
    return os.path.abspath(os.path.join(folder, os.path.expanduser(value))) if value else None


def parse_flush(value: object, origin: Origin, folder: str) -> float:
    """Return the seconds between two flushes; 0 means a single flush at the end."""
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise errors.ConfigError(f"{origin} is {value!r}; it must be a number of seconds, or 0 to save only at the end")
    return seconds


def parse_signal(value: object, origin: Origin, folder: str) -> int | None:
    """Return the number of the signal *value*, a name or a number; None if *value* is empty.

    Raise ConfigError if a process that handles this signal would behave differently: it would survive SIGTERM.
    """
    if value == "":
        return None
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isdecimal():
        number = int(value)
    elif isinstance(value, str):
        name = value.upper()
        number = getattr(_signal, name if name.startswith("SIG") else f"SIG{name}", None)
    if not isinstance(number, int) or number not in _signal.valid_signals():
        raise errors.ConfigError(f"{origin} is {value!r}; it must be the name or number of a signal, such as USR1")
    if not _is_free_for_programs(number):
        raise errors.ConfigError(
            f"{origin} is {value!r}, a signal with another use: it ends or stops processes, or the system sends it; "
            "name USR1, USR2 or a real-time signal"
        )
    return int(number)


def _is_free_for_programs(number: int) -> bool:
    """Return whether the signal *number* does nothing by default, or exists for programs to use."""
    if getattr(_signal, "SIGRTMIN", 1) <= number <= getattr(_signal, "SIGRTMAX", 0):
        return True
    return number in [getattr(_signal, f"SIG{name}", None) for name in ("USR1", "USR2", "URG", "WINCH", "INFO")]


def parse_shared(value: object, origin: Origin, folder: str) -> bool:
    """Return whether counts are also saved to a folder that other users own or can write to."""
    return _parse_switch(value, origin, "trusts all users who can write to the folder")


def parse_lines(value: object, origin: Origin, folder: str) -> bool:
    """Return whether only the counts of lines and functions are saved."""
    return _parse_switch(value, origin, "saves the counts of lines and functions only")


def parse_quiet(value: object, origin: Origin, folder: str) -> bool:
    """Return whether nothing is said about the time that rewriting takes."""
    return _parse_switch(value, origin, "says nothing of prepared code and slow rewriting")


def _parse_switch(value: object, origin: Origin, effect: str) -> bool:
    """Return whether the switch with this *value* is on; *effect* is that of 1. Raise ConfigError."""
    word = value.strip().lower() if isinstance(value, str) else value
    if word in (0, 1):  # in pyproject.toml: a boolean or a number
        return bool(word)
    if word in ON or word in OFF:
        return word in ON
    raise errors.ConfigError(f"{origin} is {value!r}; it must be 1 or 0, and 1 {effect}")


_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}


def kind_of(value: object) -> str:
    """Return the kind of the TOML *value*, for messages."""
    return _KINDS.get(type(value), type(value).__name__)


#: The parser of each key: from a value, its origin and a folder to the value of the setting.
PARSERS: dict[str, Callable[[object, Origin, str], object]] = {
    "scope": parse_scope,
    "dir": parse_dir,
    "flush": parse_flush,
    "signal": parse_signal,
    "lines": parse_lines,
    "shared": parse_shared,
    "quiet": parse_quiet,
}
