"""Measurements and source files: what could have run, what ran, what is missing. Nothing is printed here."""
