"""The flow counts of a code object: derived by readers on any version of Python from its edges, and its facts."""
