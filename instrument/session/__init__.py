"""The live code of this process, and what it counted between two moments."""
