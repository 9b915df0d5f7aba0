"""The recorder: it measures a whole process and saves the counts."""
