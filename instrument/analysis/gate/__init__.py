"""Compares the work of two runs: growth of the whole, of tests and of functions, and the lines that caused it."""
