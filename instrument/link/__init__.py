"""Rewritten code and counters go in; live code that counts comes out. The cache keeps rewritten code."""
