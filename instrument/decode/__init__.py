"""Decodes code objects: a code object comes in; instructions, line events and calls go out. Pure functions."""
