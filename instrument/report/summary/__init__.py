"""The summary of a report: a row for each file and a total, in several formats, and the bounds for the numbers."""
