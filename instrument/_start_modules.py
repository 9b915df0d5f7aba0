"""An empty module, whose bytecode file holds the code of all modules of a start: see instrument.guest.own_loader."""
