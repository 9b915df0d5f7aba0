"""Compares measurements with source files: lines that can run, that ran, and that are missing. Nothing is printed."""
