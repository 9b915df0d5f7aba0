"""The commands that follow running processes: as a table on a terminal, as JSON, and as web pages."""
