"""Measurement that begins by a call: `instrument.start()`.

For programs that no start-up file reaches: archives that bring their own packages (pex), frozen ones (PyInstaller),
interpreters with `-S` or `-I`, and programs in C that embed Python. Arguments and the environment come in; from then on
this process is recorded as by INSTRUMENT=1.
"""

import os

from instrument import startup
from instrument.config import START_ARGUMENTS, read_settings
from instrument.config.project_file import VARIABLE
from instrument.config.values import OFF


def start(
    *scope: str, directory: str | None = None, flush: float | None = None, signal: str | int | None = None
) -> bool:
    """Count in this process from now on, until it ends, and return whether it is counted.

    *scope* names what: modules and packages by dotted names, files and folders by paths; the project's own code if
    nothing is given here, by INSTRUMENT, or in pyproject.toml. *directory*, *flush* and *signal* are what
    INSTRUMENT_DIR, INSTRUMENT_FLUSH and INSTRUMENT_SIGNAL are, and outrank them. Functions that exist are counted from
    their next call on, and modules that are imported from now on. Code that is running is not, nor are functions that
    it defines later: call this first in the main program, and import the rest of the program after it. The settings
    are put into the environment, so that child processes which a start-up file reaches agree.

    If the process is counted already, it goes on as it is. It is not counted, and nothing happens, if INSTRUMENT says
    so: `0`, `off`, `false` or nothing at all after the `=`. If it cannot be counted, one line on standard error says
    why. Raises ConfigError if an argument cannot be what it is.
    """
    options: dict[str, object] = {"scope": list(scope), "dir": directory, "flush": flush, "signal": signal}
    read_settings(options, {VARIABLE: "1"}, labels=START_ARGUMENTS)
    if os.environ.get(VARIABLE, "1").strip().lower() in OFF:
        return False
    return startup.start_now(options)
