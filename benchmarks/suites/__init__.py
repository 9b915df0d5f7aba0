"""The parts of the benchmark `suites.py`: packages, runs of their tests, comparisons and times."""
