"""The commands of `instrument`, one module for each.

Each module has `add_arguments(parser)` and `execute(options)`, which returns the exit status. If a program follows the
options of a command, its module also has `split(arguments)`. It returns the command's own arguments and the program.
"""
