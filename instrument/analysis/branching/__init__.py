"""Finds the lines of a source behind which control goes one of several ways, and how often each way was taken."""
