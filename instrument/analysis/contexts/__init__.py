"""The counts of contexts: of tests and their phases, and of code outside of tests."""
