"""The results of the drop-in for `trace`: counts files, listings, and `CoverageResults`."""
