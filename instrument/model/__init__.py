"""Values that hold counts. They add."""
