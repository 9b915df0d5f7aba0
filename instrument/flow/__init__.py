"""What can happen: control flow, line events, and which counts imply which others. Pure functions, no state, no I/O."""
