"""Reads the settings of a process: the scope, the data folder, and when counts are saved.

Input: command-line options, environment variables and a pyproject.toml, in this order of precedence.
Output: `Settings`.

    option        environment         [tool.instrument]    default
    --scope       INSTRUMENT          scope                the project's own code
    --dir         INSTRUMENT_DIR      dir                  .instrument, beside that file or in the working directory
    --flush       INSTRUMENT_FLUSH    flush                10 (seconds; 0: save only at the end)
    --signal      INSTRUMENT_SIGNAL   signal               none
    --lines       INSTRUMENT_LINES    lines                no: also save the counts of probes, for branches and costs
    --shared      INSTRUMENT_SHARED   shared               no: never save to a folder that other users can write to
    --quiet       INSTRUMENT_QUIET    quiet                no: say if code was prepared, or if rewriting took long

INSTRUMENT also turns the measurement on. `1`, `true`, `on` and `yes` turn it on and leave the scope to the file. Unset,
empty, `0`, `false`, `off` and `no` turn it off. Any other value is a scope: dotted names and paths, with commas.
An item is a path if it has a separator in it or ends in `.py`. It is also a path if it exists and cannot be a dotted
name. The item `1` is the project's own code. Patterns such as `*.py` are refused.

The file is the nearest pyproject.toml with that table, in the working directory or above. Relative paths in it start
from its folder. `publish` puts the settings into the environment, so that child processes in any folder agree.

Measured processes import this module at their start, so it imports nothing that the interpreter has not imported yet.
"""

from __future__ import annotations

import os

from instrument.config.project_file import (
    KEYS,
    PREFIX,
    VARIABLE,
    find_table,
    ignored_files,
    label_of,
    variable_of,
)
from instrument.config.values import ARGUMENT, DEFAULT, ENVIRONMENT, FILE, OFF, ON, PARSERS, Origin, parse_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    #: A value as the user wrote it, its origin, and the folder from which relative paths in it start.
    WrittenValue = tuple[object, Origin, str]

#: The names of the arguments of `instrument.start`, for messages.
START_ARGUMENTS = {
    "scope": "instrument.start(): the scope",
    "dir": "instrument.start(): directory",
    "flush": "instrument.start(): flush",
    "signal": "instrument.start(): signal",
}

#: The default values of `Settings`.
DIRECTORY = ".instrument"
FLUSH = 10.0
PLACEMENT = "minimal"


class Settings:
    """The settings of a process, which never change; the header of this module describes them.

    `origins` maps each key to the `Origin` of its value.
    """

    __slots__ = ("directory", "flush", "lines", "origins", "placement", "quiet", "scope", "shared", "signal")

    scope: tuple[str, ...]
    directory: str
    flush: float
    signal: int | None
    lines: bool
    shared: bool
    quiet: bool
    placement: str
    origins: Mapping[str, Origin]

    def __init__(
        self,
        scope: Iterable[str] = (),
        directory: str | None = None,
        flush: float = FLUSH,
        signal: int | None = None,
        placement: str = PLACEMENT,
        origins: Mapping[str, Origin] | None = None,
        shared: bool = False,
        quiet: bool = False,
        lines: bool = False,
    ) -> None:
        set_attribute = object.__setattr__
        set_attribute(self, "scope", tuple(scope))
        set_attribute(self, "directory", os.path.abspath(DIRECTORY if directory is None else directory))
        set_attribute(self, "flush", flush)
        set_attribute(self, "signal", signal)
        set_attribute(self, "lines", lines)
        set_attribute(self, "shared", shared)
        set_attribute(self, "quiet", quiet)
        set_attribute(self, "placement", placement)
        set_attribute(self, "origins", dict(origins or {}))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings cannot be changed: {name}")

    def __repr__(self) -> str:
        names = ("scope", "directory", "flush", "signal", "lines", "shared", "quiet", "placement")
        return f"Settings({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def is_on(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether the *environment* turns the measurement on; None is the environment of this process."""
    environment = os.environ if environment is None else environment
    return environment.get(VARIABLE, "").strip().lower() not in OFF


def read_settings(
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of a process with these *options*, this *environment* and this working *folder*.

    *options* map keys to values; None and empty lists are not given. *labels* name the options in messages, in place
    of `--KEY`. The environment and folder of this process are the defaults. Raise ConfigError if a value is impossible.
    """
    environment = os.environ if environment is None else environment
    folder = os.getcwd() if folder is None else folder
    written = _written_values(options or {}, environment, folder, labels or {})
    home = folder  # the folder of the default data folder
    if any(key not in written for key in KEYS):
        table, path = find_table(folder)
        home = os.path.dirname(path) or folder
        for key in KEYS:
            if key in table:
                written.setdefault(key, (table[key], Origin(FILE, label_of(path, key)), home))
        if all(variable_of(key) in environment for key in ("dir", "flush", "signal")):
            ignored_files.clear()  # the process that published these settings has printed the messages
    values = {key: PARSERS[key](value, origin, start) for key, (value, origin, start) in written.items()}
    origins = {key: written[key][1] if key in written else Origin(DEFAULT, "default") for key in KEYS}
    if "dir" not in written and home != folder:
        origins["dir"] = Origin(DEFAULT, f"default, beside {os.path.join(home, 'pyproject.toml')}")
    return Settings(
        scope=values.get("scope", ()),  # type: ignore[arg-type]
        directory=values.get("dir") or os.path.join(home, DIRECTORY),  # type: ignore[arg-type]
        flush=values.get("flush", FLUSH),  # type: ignore[arg-type]
        signal=values.get("signal"),  # type: ignore[arg-type]
        lines=bool(values.get("lines")),
        shared=bool(values.get("shared")),
        quiet=bool(values.get("quiet")),
        origins=origins,
    )


def _written_values(
    options: Mapping[str, object], environment: Mapping[str, str], folder: str, labels: Mapping[str, str]
) -> dict[str, WrittenValue]:
    """Return the values that *options*, or else the *environment*, give, by key."""
    written: dict[str, WrittenValue] = {}
    for key in KEYS:
        variable = variable_of(key)
        value = options.get(key)
        if value is not None and value != []:
            written[key] = value, Origin(ARGUMENT, labels.get(key, f"--{key}")), folder
        elif variable in environment and not _leaves_key_to_file(key, environment[variable]):
            written[key] = environment[variable], Origin(ENVIRONMENT, variable), folder
    return written


def _leaves_key_to_file(key: str, value: str) -> bool:
    """Return whether the environment variable for *key* has a *value* that leaves the setting to the file."""
    return value.strip().lower() in ON + OFF if key == "scope" else key == "dir" and not value


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names in *environment* that begin with PREFIX and that nothing reads."""
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in variables())


def variables() -> list[str]:
    """Return the names of all environment variables that are read."""
    return [*map(variable_of, KEYS), "INSTRUMENT_CACHE", "INSTRUMENT_ARCHIVE_KEY"]


def publish(settings: Settings, environment: MutableMapping[str, str] | None = None) -> None:
    """Put *settings* into *environment*, by default that of this process, for its child processes."""
    environment = os.environ if environment is None else environment
    texts = {
        VARIABLE: ",".join(settings.scope) or "1",
        "INSTRUMENT_DIR": settings.directory,
        "INSTRUMENT_FLUSH": f"{settings.flush:g}",
        "INSTRUMENT_SIGNAL": "" if settings.signal is None else str(settings.signal),
    }
    switches = (
        ("INSTRUMENT_LINES", settings.lines),
        ("INSTRUMENT_SHARED", settings.shared),
        ("INSTRUMENT_QUIET", settings.quiet),
    )
    for variable, is_set in switches:
        if is_set or variable in environment:
            texts[variable] = "1" if is_set else ""
    for variable, text in texts.items():
        if environment.get(variable) != text:
            environment[variable] = text


def read_directory(folder: str | None = None) -> str:
    """Return the path of the data folder, for commands that need no other setting.

    The path is relative if it is the default folder in *folder*, by default the working directory. Raise ConfigError.
    """
    folder = os.getcwd() if folder is None else folder
    variable = os.environ.get("INSTRUMENT_DIR")
    if variable:
        return os.path.expanduser(variable)
    table, path = find_table(folder)
    home = os.path.dirname(path) or folder
    directory = parse_dir(table["dir"], Origin(FILE, label_of(path, "dir")), home) if "dir" in table else None
    directory = directory or os.path.join(home, DIRECTORY)
    return DIRECTORY if directory == os.path.join(folder, DIRECTORY) else directory
