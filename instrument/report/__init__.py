"""What happened: plain counts come in, listings, tables and counts files go out."""
