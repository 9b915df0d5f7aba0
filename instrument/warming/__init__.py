"""Prepares source files for counting ahead of time: fills the cache of rewritten code."""
