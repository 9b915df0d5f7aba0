"""Reads the output of programs on a terminal."""

import os


def printed_on(terminal):
    """Return all bytes that are printed on *terminal*, the descriptor of our end, and close it."""
    printed = b""
    while True:
        try:
            part = os.read(terminal, 10_000)
        except OSError:  # on Linux the end of the terminal is an error
            break
        if not part:
            break
        printed += part
    os.close(terminal)
    return printed
