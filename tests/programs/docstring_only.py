"""Only words."""
