"""Finds out whether a command line, a file, a module or a running process is counted, and if not, why."""
