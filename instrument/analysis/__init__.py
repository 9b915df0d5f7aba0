"""Counts and source files go in; what could run, what is missing and what is stale comes out."""
