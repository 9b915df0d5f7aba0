"""Plain counts go in; listings, tables and counts files come out."""
