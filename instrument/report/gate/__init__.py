"""Writes the verdict of the gate: as a table, as Markdown, as JSON, and as SARIF. One module for each format."""
