"""A short way for straight code: code of one block, without jumps and handlers. Half of all code objects are so."""
