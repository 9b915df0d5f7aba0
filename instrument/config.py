"""What to measure, where to write it, and how often: the settings of a process.

Command-line options, the environment and a pyproject.toml come in, in this order of rank; `Settings` go out.

    option        environment         [tool.instrument]    default
    --scope       INSTRUMENT          scope                the project's own code
    --dir         INSTRUMENT_DIR      dir                  .instrument, beside that file or here
    --flush       INSTRUMENT_FLUSH    flush                10 (seconds; 0: only at the end)
    --signal      INSTRUMENT_SIGNAL   signal               none
    --shared      INSTRUMENT_SHARED   shared               no: save to no folder that other users can write to

INSTRUMENT turns the measurement on: `1`, `true`, `on` and `yes` leave the scope to the file; unset, empty, `0`,
`false`, `off` and `no` are off; anything else is a scope, dotted names and paths with commas between them. An item with
a separator in it, ending in `.py`, or that exists as a file or folder and cannot be a dotted name, is a path. The item
`1` is the project's own code. Patterns such as `*.py` are refused.

The commands that report read three more keys of the file: `include` and `omit` (`read_patterns`), and `paths`
(`read_paths`).

The file is the nearest pyproject.toml with that table, in the working directory or above; relative paths in it start
from its folder. It is a regular file of this user or of root: another user could have put one into a folder above, and
say by it where this process writes, and what it does with signals. Settings are published to the environment, so that
child processes mean the same by them wherever they work, and need not read the file again.

Read at the start of measured processes: only what the interpreter has imported by then is imported here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

from instrument.errors import InstrumentError
from instrument.guest.isolation import import_isolated
from instrument.guest.trusted_files import is_of_another_user, read_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

VARIABLE = "INSTRUMENT"
#: The keys of the file; the names of the options; and with this before them, those of the environment's variables.
KEYS = ("scope", "dir", "flush", "signal", "shared")
PREFIX = "INSTRUMENT_"
TABLE = "[tool.instrument]"
#: The keys of the file that only commands read: lists of patterns, and a table of folders.
PATTERNS = ("include", "omit")
PATHS = "paths"
_ALL_KEYS = (*KEYS, *PATTERNS, PATHS)

ON = ("1", "true", "on", "yes")
OFF = ("", "0", "false", "off", "no")
#: The item of a scope that stands for the project's own code.
OWN = "1"

#: How messages call the arguments of `instrument.start`.
CALL = {
    "scope": "instrument.start(): the scope",
    "dir": "instrument.start(): directory",
    "flush": "instrument.start(): flush",
    "signal": "instrument.start(): signal",
}

#: What to name in a scope, for messages.
ITEMS = "a module or package as `import` does, a file or folder by its path, or 1 for the project's own code"

DIRECTORY = ".instrument"
FLUSH = 10.0
PLACEMENT = "minimal"


class ConfigError(InstrumentError):
    """A setting cannot be what it is said to be; the message names where it was said, and what it can be."""


class Settings:
    """What a process is told: see the module. `origins` says where each of the settings comes from."""

    __slots__ = ("directory", "flush", "origins", "placement", "scope", "shared", "signal")

    scope: tuple[str, ...]
    directory: str
    flush: float
    signal: int | None
    shared: bool
    placement: str
    origins: Mapping[str, str]

    def __init__(
        self,
        scope: Iterable[str] = (),
        directory: str | None = None,
        flush: float = FLUSH,
        signal: int | None = None,
        placement: str = PLACEMENT,
        origins: Mapping[str, str] | None = None,
        shared: bool = False,
    ) -> None:
        give = object.__setattr__
        give(self, "scope", tuple(scope))
        give(self, "directory", os.path.abspath(DIRECTORY if directory is None else directory))
        give(self, "flush", flush)
        give(self, "signal", signal)
        give(self, "shared", shared)
        give(self, "placement", placement)
        give(self, "origins", dict(origins or {}))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings cannot be changed: {name}")

    def __repr__(self) -> str:
        names = ("scope", "directory", "flush", "signal", "shared", "placement")
        return f"Settings({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def is_on(environment: Mapping[str, str] | None = None) -> bool:
    """Return whether the *environment*, that of this process if not given, turns the measurement on."""
    environment = os.environ if environment is None else environment
    return environment.get(VARIABLE, "").strip().lower() not in OFF


def read_settings(
    options: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    called: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of a process with these *options* (by key; None is not given), *environment* and *folder*.

    The latter two are those of this process if not given. *called* says how messages call the *options*, by key: as
    those of the command line if not given. Raises ConfigError.
    """
    environment = os.environ if environment is None else environment
    folder = os.getcwd() if folder is None else folder
    said: dict[str, tuple[object, str, str]] = {}  # what, where, and what relative paths start from
    for key in KEYS:
        variable = variable_of(key)
        value = (options or {}).get(key)
        if value is not None and value != []:
            said[key] = value, (called or {}).get(key, f"--{key}"), folder
        elif variable in environment and not _says_nothing(key, environment[variable]):
            said[key] = environment[variable], variable, folder
    home = folder
    if any(key not in said for key in KEYS):
        table, path = _table(folder)
        home = os.path.dirname(path) or folder
        for key in KEYS:
            if key in table:
                said.setdefault(key, (table[key], _place(path, key), home))
        if all(variable_of(key) in environment for key in ("dir", "flush", "signal")):
            passed_over.clear()  # the process that published these has said it
    found: dict[str, object] = {}
    for key, (value, where, start) in said.items():
        found[key] = _READERS[key](value, where, start)
    origins = {key: said[key][1] if key in said else "default" for key in KEYS}
    if "dir" not in said and home != folder:
        origins["dir"] = f"default, beside {os.path.join(home, 'pyproject.toml')}"
    return Settings(
        scope=found.get("scope", ()),  # type: ignore[arg-type]
        directory=found.get("dir") or os.path.join(home, DIRECTORY),  # type: ignore[arg-type]
        flush=found.get("flush", FLUSH),  # type: ignore[arg-type]
        signal=found.get("signal"),  # type: ignore[arg-type]
        shared=bool(found.get("shared")),
        origins=origins,
    )


def _says_nothing(key: str, value: str) -> bool:
    """Return whether the *value* of the environment's variable for *key* leaves the setting to the file."""
    return value.strip().lower() in ON + OFF if key == "scope" else key == "dir" and not value


def variable_of(key: str) -> str:
    """Return the variable of the environment for the setting *key*."""
    return PREFIX + key.upper() if key != "scope" else VARIABLE


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names in *environment* that begin as those of our variables do, and that nothing reads."""
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in variables())


def variables() -> list[str]:
    """Return the names of all variables of the environment that are read."""
    return [*map(variable_of, KEYS), "INSTRUMENT_CACHE"]


def publish(settings: Settings, environment: MutableMapping[str, str] | None = None) -> None:
    """Put *settings* into the *environment*, that of this process if not given, for child processes to agree."""
    environment = os.environ if environment is None else environment
    texts = {
        VARIABLE: ",".join(settings.scope) or "1",
        "INSTRUMENT_DIR": settings.directory,
        "INSTRUMENT_FLUSH": f"{settings.flush:g}",
        "INSTRUMENT_SIGNAL": "" if settings.signal is None else str(settings.signal),
    }
    if settings.shared or "INSTRUMENT_SHARED" in environment:
        texts["INSTRUMENT_SHARED"] = "1" if settings.shared else ""
    for variable, text in texts.items():
        if environment.get(variable) != text:
            environment[variable] = text


def read_directory(folder: str | None = None) -> str:
    """Return the folder of the data, for commands that read no other setting: relative if it is the usual one here.

    Raises ConfigError.
    """
    folder = os.getcwd() if folder is None else folder
    chosen = os.environ.get("INSTRUMENT_DIR")
    if chosen:
        return os.path.expanduser(chosen)
    table, path = _table(folder)
    home = os.path.dirname(path) or folder
    found = _read_dir(table["dir"], _place(path, "dir"), home) if "dir" in table else None
    found = found or os.path.join(home, DIRECTORY)
    return DIRECTORY if found == os.path.join(folder, DIRECTORY) else found


def read_patterns(key: str, folder: str | None = None) -> list[str]:
    """Return the patterns of source files that the file has under *key*, one of PATTERNS; none without a file.

    Those that do not begin with `*` start from the folder of the file. Raises ConfigError.
    """
    table, path = _table(os.getcwd() if folder is None else folder)
    texts = table.get(key, [])
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{_place(path, key)} is {_kind(texts)}; it is to be a list of patterns of paths")
    home = os.path.dirname(path)
    return [text if text[:1] == "*" else os.path.normpath(os.path.join(home, text)) for text in texts if text]


# The file #############################################################################################################

#: The largest file that is read.
_LARGEST = 1 << 22
#: What is to be said of files of other users.
passed_over: list[str] = []


def _table(folder: str) -> tuple[dict[str, object], str]:
    """Return what the nearest file with our table says, from *folder* upwards, and its path; nothing without one."""
    while True:
        path = os.path.join(folder, "pyproject.toml")
        content = _content(path)
        # Most files can be told not to have the table without the parser, which takes as long as all else here.
        if b"instrument" in content and b"tool" in content:
            table = _parse(content, path)
            if table is not None:
                return table, path
        above = os.path.dirname(folder)
        if above == folder:
            return {}, ""
        folder = above


def _place(path: str, key: str) -> str:
    """Return how messages call the *key* in the file *path*."""
    return f"{path}, {TABLE}, key {key!r}"


def _content(path: str) -> bytes:
    """Return what the file *path* holds if it is one to obey: a regular one, of this user or root, and not too large.

    One of another user that is about us is noted in `passed_over`.
    """
    try:
        is_foreign = is_of_another_user(path)
        content = read_regular(path, _LARGEST)
    except (OSError, ValueError):
        return b""
    if not is_foreign:
        return content
    if b"tool.instrument" in content:
        passed_over.append(
            f"{path} is passed over, for it belongs to another user: change its owner, or say the same by options or "
            f"the environment ({', '.join(variable_of(key) for key in KEYS)})"
        )
    return b""


def _parse(content: bytes, path: str) -> dict[str, object] | None:
    """Return our table in *content*, that of the file *path*; None if it has none."""
    tomllib = sys.modules.get("tomllib") or import_isolated("tomllib")
    try:
        document = tomllib.loads(content.decode("utf-8"))  # type: ignore[attr-defined]
    except (ValueError, RecursionError) as error:
        if b"tool.instrument" not in content:
            return None  # none of our business
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from None
    tool = document.get("tool")
    table = tool.get("instrument") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        keys = _listed(_ALL_KEYS)
        raise ConfigError(f"{path}: {TABLE} is {_kind(table)}; it is to be a table with the keys {keys}")
    found: dict[str, object] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in _ALL_KEYS:
            raise ConfigError(f"{path}: unknown key {key!r} in {TABLE}; there are {_listed(_ALL_KEYS)}")
        found[name] = value
    return found


# What is said, and what it means ######################################################################################


def _read_scope(value: object, where: str, start: str) -> tuple[str, ...]:
    """Return the items that *value* lists, paths as absolute ones."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"{where} is {_kind(value)}; it is to be a list of dotted names and paths")
    if isinstance(value, str) or where.startswith(("--", CALL["scope"])):
        texts = [item for text in texts for item in text.split(",")]
    items: list[str] = []
    for text in texts:
        text = text.strip()
        if not text:
            continue
        item = text
        better = instead_of_pattern(text, start)
        if better:
            raise ConfigError(f"{where}: {text!r} is a pattern, which a scope cannot have; name {better}")
        if text.lower() in ON:
            item = OWN
        elif is_path(text, start):
            item = os.path.abspath(os.path.join(start, os.path.expanduser(text)))
            if "," in item:
                raise ConfigError(f"{where}: {item!r} has a comma in it, which separates items; name a folder above it")
        elif not _is_dotted_name(text):
            raise ConfigError(f"{where}: {text!r} is neither a dotted name nor a path that exists")
        if item not in items:
            items.append(item)
    return () if items == [OWN] else tuple(items)


def instead_of_pattern(text: str, start: str = "") -> str:
    """Return what to name in place of the pattern *text*, in words; an empty text if it is no pattern.

    Relative paths start from the folder *start*.
    """
    n = min((text.find(mark) for mark in "*?[" if mark in text), default=-1)
    if n < 0 or os.path.lexists(os.path.join(start, os.path.expanduser(text))):
        return ""
    folder = text[: text[:n].rfind("/") + 1]
    if not folder and text[n - 1 : n] == "." and _is_dotted_name(text[: n - 1]):
        return f"the package {text[: n - 1]!r}, which stands for all that is in it"
    return f"the folder {folder or './'!r}, which stands for all that is in it, or files one by one"


def is_path(item: str, start: str = "") -> bool:
    """Return whether *item* of a scope is a path; relative ones start from the folder *start*."""
    if os.sep in item or (os.altsep and os.altsep in item) or item.endswith(".py") or item in (".", "..", "~"):
        return True
    return not _is_dotted_name(item) and os.path.exists(os.path.join(start, item))


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _read_dir(value: object, where: str, start: str) -> str | None:
    if not isinstance(value, str):
        raise ConfigError(f"{where} is {_kind(value)}; it is to be the path of a folder")
    return os.path.abspath(os.path.join(start, os.path.expanduser(value))) if value else None


def _read_flush(value: object, where: str, start: str) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{where} is {value!r}; it is to be a number of seconds, 0 for only at the end")
    return seconds


def _read_signal(value: object, where: str, start: str) -> int | None:
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
        raise ConfigError(f"{where} is {value!r}; it is to be the name or number of a signal, such as USR1")
    if not _is_free(number):
        raise ConfigError(
            f"{where} is {value!r}, a signal with a meaning of its own: it ends or stops a process, or no process can "
            "handle it; USR1, USR2 and the real-time signals are free"
        )
    return int(number)


def _is_free(number: int) -> bool:
    """Return whether a process that handles the signal *number* goes on as it would without: by default those signals
    do nothing, or are there for programs to use.
    """
    if getattr(_signal, "SIGRTMIN", 1) <= number <= getattr(_signal, "SIGRTMAX", 0):
        return True
    return number in [getattr(_signal, f"SIG{name}", None) for name in ("USR1", "USR2", "URG", "WINCH", "INFO")]


def _read_shared(value: object, where: str, start: str) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, bool):
        return word
    if word in ON or word in OFF:
        return word in ON
    raise ConfigError(f"{where} is {value!r}; it is to be 1 or 0: do you trust all who can write to the folder?")


_READERS = {
    "scope": _read_scope,
    "dir": _read_dir,
    "flush": _read_flush,
    "signal": _read_signal,
    "shared": _read_shared,
}


_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


# What only commands read ##############################################################################################


def read_paths(folder: str | None = None) -> list[tuple[str, list[str]]]:
    """Return the folders that the file calls the same: one that is here, and patterns of others that stand for it.

    It has them in a table `paths`, as coverage.py has: each list begins with the folder that is here. Relative paths
    start from the folder of the file. Raises ConfigError.
    """
    table, path = _table(os.getcwd() if folder is None else folder)
    groups = table.get(PATHS, {})
    where = _place(path, PATHS)
    if not isinstance(groups, dict):
        raise ConfigError(f"{where} is {_kind(groups)}; it is to be a table of lists of folders")
    found: list[tuple[str, list[str]]] = []
    for name, folders in groups.items():
        if (
            not isinstance(folders, list)
            or len(folders) < 2
            or not all(isinstance(one, str) and one for one in folders)
        ):
            raise ConfigError(f"{where}: {name!r} is to be a list of two or more folders, the one that is here first")
        start = os.path.dirname(path)
        first, *others = (one if one[:1] == "*" else os.path.abspath(os.path.join(start, one)) for one in folders)
        if "*" in first:
            raise ConfigError(f"{where}: {name!r} is to begin with the folder that is here, and {first!r} is a pattern")
        found.append((first, others))
    return found
