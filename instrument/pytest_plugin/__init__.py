"""The pytest plugin: counts a test run, and reports on it. `instrument_pytest` is the module that pytest loads."""
