"""Counts of sections: parts of a program that a `with` statement marks, such as in a test. Nothing is written."""
