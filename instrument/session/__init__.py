"""The live code of this process, and its counts between two moments."""
