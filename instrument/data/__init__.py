"""Data files: what measured processes write, and what reports read. No module here reads a source file."""
