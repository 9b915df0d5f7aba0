"""Data of git revisions: which commit a text names, where its data are kept, and whether data are of a commit."""
