"""Lets `python -m instrument` take the place of `python -m trace`."""

from instrument.cli import main

if __name__ == "__main__":
    main()
