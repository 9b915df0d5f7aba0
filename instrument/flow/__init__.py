"""Control flow, and which counts imply which others. Pure functions, no state, no I/O."""
