"""The commands: arguments come in, tables and files go out. Each room is one command, named as it is called."""
