"""Functions that exist when a measurement begins: those of this package are left alone."""

import types

from instrument.guest.own_builtins import ours
from instrument.session import existing_functions


def test_functions_of_a_module_of_this_package_that_was_executed_twice_are_left_alone():
    """A late module may be executed a second time. No table has the first copy, but its functions exist."""
    copy = types.FunctionType(existing_functions.restore_unmeasured_functions.__code__, {"__builtins__": ours})
    other = types.FunctionType(copy.__code__, {"__builtins__": dict(ours)})
    found = [function for functions in existing_functions._functions_by_namespace().values() for function in functions]
    assert not any(function is copy for function in found)
    assert any(function is other for function in found)
