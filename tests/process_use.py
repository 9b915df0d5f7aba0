"""Find out, from its code, whether a test starts processes.

A test starts processes if it uses `subprocess`, `multiprocessing` or a function such as `os.fork`. It may do so in its
own function, in a fixture, or in a helper. Helpers are the functions and classes that are defined below `tests`.
"""

import sys
import types
from pathlib import Path

TESTS = str(Path(__file__).parent)
MODULES = {"subprocess", "multiprocessing", "concurrent.futures.process"}
FUNCTIONS = {"fork", "forkpty", "posix_spawn", "spawnv"}

#: Functions and classes that lead to no process: most tests share helpers and fixtures.
_harmless = set()


def any_starts_processes(functions):
    """Return whether one of *functions*, or a helper that it names, starts processes."""
    examined = set()
    if any(starts_processes(function, examined) for function in functions):
        return True
    _harmless.update(examined)
    return False


def starts_processes(function, examined):
    """Return whether *function*, or a helper that it names, starts processes; add these functions to *examined*."""
    function = getattr(function, "__wrapped__", function)
    if not isinstance(function, types.FunctionType) or function in examined or function in _harmless:
        return False
    examined.add(function)
    names = _names_in(function.__code__)
    if names & FUNCTIONS:
        return True
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    values += [cell.cell_contents for cell in function.__closure__ or () if cell != types.CellType()]
    return any(_reaches(value, names, examined) for value in values)


def _reaches(value, names, examined):
    """Return whether *value*, of which *names* may be attributes, is or leads to a helper that starts processes."""
    if isinstance(value, types.ModuleType):
        if value.__name__ in MODULES:
            return True
        if not (getattr(value, "__file__", None) or "").startswith(TESTS):
            return False
        return any(_reaches(vars(value)[name], names, examined) for name in names if name in vars(value))
    if isinstance(value, type):
        if value in examined or value in _harmless or not _is_helper(value):
            return False
        examined.add(value)
        return any(_reaches(member, names, examined) for base in value.__mro__ for member in vars(base).values())
    return _is_helper(value) and starts_processes(value, examined)


def _is_helper(value):
    """Return whether the function or class *value* is defined below `tests`."""
    value = getattr(value, "__wrapped__", value)  # a context manager's own function is one of contextlib
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    code = getattr(value, "__code__", None)
    file = code.co_filename if code else getattr(module, "__file__", None)
    return (file or "").startswith(TESTS)


def _names_in(code):
    """Return the names of globals and attributes in *code* and in all code within it."""
    inner = (_names_in(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inner)
