"""Plan files: the static knowledge about code, by which readers recover counts from those of probes."""
