"""Provides code objects for tests: of given sources, and of a sample of the standard library."""

import bisect
import functools
import importlib.util
import types
import warnings

from instrument.flow.plan import Plan

#: Modules with every construct of the language, and few enough instructions to examine each.
MODULES = ["ast", "asyncio.base_events", "asyncio.tasks", "bdb", "contextlib", "dataclasses", "difflib", "enum"]
MODULES += ["multiprocessing.pool", "pickle", "re._parser", "tarfile", "typing", "unittest.mock"]


def codes_of(source, name="program"):
    """Return all code objects of *source*, outermost first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = [compile(source, name, "exec", dont_inherit=True)]
    for code in codes:
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return codes


@functools.cache
def codes_of_module(module):
    """Return all code objects of *module* of the standard library."""
    with open(importlib.util.find_spec(module).origin, "rb") as file:
        return codes_of(file.read(), module)


def code_called(name, source):
    """Return the only code object of *source* with the name *name*."""
    (code,) = [code for code in codes_of(source) if code.co_name == name]
    return code


def index_at(instructions, unit):
    """Return the index of the instruction that the code unit *unit* belongs to, as a prefix, an opcode or a cache."""
    return bisect.bisect_right(instructions.starts, unit) - 1


def changed(plan, **fields):
    """Return a Plan like *plan*, but with other *fields*."""
    return Plan(**{name: getattr(plan, name) for name in Plan.__slots__} | fields)
