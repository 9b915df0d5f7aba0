"""Writers of reports: each has one format. They take analyses and plain counts, and open no data file."""
