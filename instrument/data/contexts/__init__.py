"""Contexts in data files: how they are merged, and how they are read."""
