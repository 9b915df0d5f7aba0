"""Growth laws: how the counts of a function grow with the size of its input."""
