"""Finds out, without running the program, whether a command line, a file or a module is counted, and why not."""
