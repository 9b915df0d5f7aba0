"""Nothing. The bytecode file of this module holds the code of all modules that a start needs: see own_loader."""
