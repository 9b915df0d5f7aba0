"""What is kept: counts of many processes come in, files that any SQLite can read go out, and sums of them come back."""
