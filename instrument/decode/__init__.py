"""A code object goes in; instructions, line events and calls of exec come out. Pure functions."""
