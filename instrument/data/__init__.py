"""Data files: measured processes write them, and reports read them. No module here reads a source file."""
