"""`instrument.start()`: the program itself begins the measurement of its process.

Some programs are reached by no start-up file:

- archives that bring their own packages (pex),
- frozen programs (PyInstaller),
- interpreters with `-S` or `-I`,
- C programs that embed Python.

Arguments and environment variables come in. From then on the process is recorded, as with INSTRUMENT=1.
"""

import os

from instrument import startup
from instrument.config import START_ARGUMENTS, read_settings
from instrument.config.project_file import VARIABLE
from instrument.config.values import OFF


def start(
    *scope: str, directory: str | None = None, flush: float | None = None, signal: str | int | None = None
) -> bool:
    """Count in this process from now on, until it ends; return whether it is counted.

    *scope* are modules and packages by their dotted names, files and folders by their paths. Without it, the scope is
    that of INSTRUMENT or of pyproject.toml, or else the project's own code. *directory*, *flush* and *signal* outrank
    INSTRUMENT_DIR, INSTRUMENT_FLUSH and INSTRUMENT_SIGNAL.

    Existing functions are counted from their next call on, and modules that are imported from now on. Code that is
    running is not counted, nor are functions that it defines later. So call this first in the main program, and import
    the rest of the program after it. The settings are put into the environment, for child processes that a start-up
    file reaches.

    If the process is counted already, it goes on with its settings. If INSTRUMENT is `0`, `off`, `false` or empty, the
    process is not counted. If it cannot be counted, standard error gives the reason. Raise ConfigError if an argument
    is invalid.
    """
    options: dict[str, object] = {"scope": list(scope), "dir": directory, "flush": flush, "signal": signal}
    read_settings(options, {VARIABLE: "1"}, labels=START_ARGUMENTS)
    if os.environ.get(VARIABLE, "1").strip().lower() in OFF:
        return False
    return startup.start_now(options)
