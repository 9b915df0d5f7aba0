"""Decides which modules are measured: by scopes of names and paths, or by the rules of the standard `trace`."""
