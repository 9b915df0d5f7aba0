"""The version of this package, in a module of its own: the command line prints it without importing the package."""

__version__ = "0.1.0"
