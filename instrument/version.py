"""The version of this package: a room of its own, so that the command line need not import the package root."""

__version__ = "0.1.0"
