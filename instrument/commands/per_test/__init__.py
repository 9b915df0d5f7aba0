"""Commands about single tests; `pytest --instrument-contexts` saves what they show."""
