"""Values that hold counts, and add: of a code object, of a source file, of a whole measurement."""
