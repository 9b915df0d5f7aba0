"""One module a command: arguments go in, tables and files come out."""
