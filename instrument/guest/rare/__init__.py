"""Parts of `guest` that few processes need, and no start does: all are late modules."""
