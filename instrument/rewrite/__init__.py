"""A code object goes in; a code object with probes and exit stubs comes out."""
