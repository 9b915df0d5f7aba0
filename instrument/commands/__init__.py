"""The commands of `instrument NAME`: one room each, with its options and what it does."""
