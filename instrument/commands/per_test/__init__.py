"""Commands about single tests. They need data that `pytest --instrument-contexts` has saved."""
