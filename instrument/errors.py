"""Every exception and warning of this package, one sentence each."""


class InstrumentError(Exception):
    """Something this package was asked to do cannot be done; the message names what, and the way out."""


class RewriteError(InstrumentError):
    """A code object cannot be rewritten safely; the original runs in its place and its file is reported as not
    measured.
    """


class ConservationError(InstrumentError):
    """Counts contradict each other. This should never happen: please report the message, it names the block and both
    sums.
    """


class CountsFileError(InstrumentError, ValueError):
    """A counts file is truncated, foreign or hostile; it is left as it is, and nothing in it was executed."""


class InstrumentWarning(UserWarning):
    """Some code runs uncounted; the message names it, and the program itself is unharmed."""


class DataError(InstrumentError):
    """A data file, or a folder of them, cannot be read or written; the message names it, and it is left as it is."""


class DataGoneError(DataError):
    """The data file of this process was removed by somebody else; the next write makes a new one and needs all counts,
    not only those that have changed.
    """
