"""All exceptions and warnings that this package raises and that its users or other modules handle.

A message names the file, process or setting concerned and, where there is one, the way out.
"""


class InstrumentError(Exception):
    """The base class: this package cannot do the work that it was asked for."""


class InstrumentWarning(UserWarning):
    """Some code runs uncounted; the message names the code and the reason. The program itself runs as ever."""


# Rewriting and counting


class RewriteError(InstrumentError):
    """A code object cannot be rewritten safely. The original runs, and its file is reported as not measured."""


class ConservationError(InstrumentError):
    """Counts of one code object contradict each other: a defect of this package. Please report the message.

    The message says how often *node*, a block of the code or its outside, was entered and left. *function* and
    *file_name* name the code object, and are empty until `name_code` was called. A warning that shows the message puts
    these names in front of it.
    """

    def __init__(self, node: str, entered: int, left: int, detail: str = "") -> None:
        times = f"{node} was entered {entered} times and left {left} times{detail}"
        super().__init__(f"its counts contradict each other: {times}")
        self.node = node
        self.entered = entered
        self.left = left
        self.function = ""
        self.file_name = ""

    def name_code(self, function: str, file_name: str) -> None:
        """Set the names of the code object that the counts are of."""
        self.function = function
        self.file_name = file_name


class NotRecordedError(InstrumentError):
    """Counts of this process were asked for, but no recorder runs in it.

    `INSTRUMENT=1` and `instrument run` start the recorder; `instrument.counting` needs none.
    """


# Settings and command lines


class ConfigError(InstrumentError):
    """A setting has an invalid value; the message names the setting's place and the valid values."""


class OptionError(ConfigError):
    """A line of a notebook has an unknown option, or an option has no valid value."""


class NotPythonError(InstrumentError):
    """A command line starts no Python program that is counted; the message names its program."""


class UnknownCommandError(InstrumentError):
    """A command line starts a program that may start others, unknown here; the message gives advice."""


class RequestError(InstrumentError):
    """A measured process was asked for its counts and does not answer; the message gives the likely reason."""


# Files


class CountsFileError(InstrumentError, ValueError):
    """A counts file is truncated, of another program, or hostile. Nothing in it was executed; it is unchanged."""


class ArchiveError(InstrumentError):
    """An archive of rewritten code is damaged, or its maker is not trusted. Nothing was taken from it."""


class DataError(InstrumentError):
    """A data file or a data folder cannot be read or written; it is unchanged."""


class BusyError(DataError):
    """A data file was changed during each attempt to copy it."""


class NoRepositoryError(DataError):
    """A folder is in no git repository, or git cannot read the repository; the message says why."""


class DataGoneError(DataError):
    """Another process removed the data file of this process.

    The next write makes a new file. It needs all counts, and not only the changes since the last write.
    """
