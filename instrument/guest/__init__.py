"""How this package behaves as a guest inside the measured program.

PYTEST_DONT_REWRITE: see `own_loader._Loader`.

The program must not notice the package, and the package must not depend on anything that the program may replace. All
modules of the package that run inside a measured process keep these rules; the modules of this folder provide for them.

System calls
    Call the system through `own_builtins.system`, a copy of the module `posix` or `nt`, and never through `os`. The
    program may replace `os.open`, and many tests do. The copy is made before the program runs.
Functions of C modules and constants
    Import them by name when the module is loaded (`from time import time`). A name in this package keeps its
    value; an attribute of another module may be another function by the time it is called.
Builtins
    Each module has `own_builtins.ours` as its `__builtins__`, because the program may replace `builtins.len`. The
    loader of the package (own_loader) puts it there before it executes the module.
No Python code of the standard library
    The program may use the same functions, whose lines are then counted. So a module that runs while the program runs
    imports C modules (`_bisect`, not `bisect`), or imports a copy that only this package has (isolation).
Imports
    Import own modules within `own_imports.OwnImports`. A module that only this package has
    imported leaves `sys.modules`. So the program's own import of it is executed, and counted, as in a plain run.
`TYPE_CHECKING = False`
    Names for annotations are imported under `if TYPE_CHECKING:` with a variable of our own. Mypy takes any variable of
    that name for true. `from typing import TYPE_CHECKING` would import `typing`, which is large, and which the program
    may be the first to import.
`from __future__ import annotations`
    Modules that are imported before the program runs do without it and quote annotations, because the program may be
    the first to import `__future__`, which is a module in Python.
Frames and events
    Functions that run in the midst of the program's code are hidden (hiding): no profiler, tracer or traceback shows
    them. own_loader says which. Where a function cannot be hidden, a hook is a function with the file and lines of the
    function that it replaces.
Errors
    Every call may raise an exception that belongs to the program: an interrupt, the exception of a signal handler, or
    one sent to a thread (program_errors). That exception is raised on. Any other one ends the work of the package with
    one line on standard error (messages), and the program continues.
Locks
    A lock that the program's threads or signal handlers may meet is a `gate.Gate`, which no library takes for one of
    the program's own locks.
Files
    A file that is executed or obeyed is used only if no other user can write to it (trusted_files). A file that others
    read is replaced in one step (atomic_files).
Interpreters
    A process may have several interpreters, each with modules of its own (interpreters).
"""
