"""The commands that write formats of other tools. Each module is one command: see `instrument.commands`."""
