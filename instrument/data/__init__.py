"""Counts of many processes go in; SQLite files come out, and sums of the files."""
