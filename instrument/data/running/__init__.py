"""Processes that run and are measured, as the system shows them, and the reasons why there are no data."""
