"""Commands that compare the work of runs: `gate`, and `keep`, which keeps the data of revisions for it."""
