"""Run by `python -m instrument`: nothing comes in but the arguments, which `instrument.cli` reads."""

from instrument.cli import main

if __name__ == "__main__":
    main()
