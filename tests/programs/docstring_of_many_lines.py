"""One.

Two.
"""
