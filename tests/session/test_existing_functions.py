"""Functions that exist when a measurement begins: those of this package are left alone."""

import gc
import types

from instrument.decode.executors import executors_in_frozen_modules, may_execute_code
from instrument.guest.own_builtins import ours
from instrument.session import existing_functions, garbage_collector


def test_functions_of_a_module_of_this_package_that_was_executed_twice_are_left_alone():
    """A late module may be executed a second time. No table has the first copy, but its functions exist."""
    copy = types.FunctionType(existing_functions.restore_unmeasured_functions.__code__, {"__builtins__": ours})
    other = types.FunctionType(copy.__code__, {"__builtins__": dict(ours)})
    found = [function for functions in existing_functions._functions_by_namespace().values() for function in functions]
    assert not any(function is copy for function in found)
    assert any(function is other for function in found)


def test_functions_of_frozen_modules_are_known_without_a_search():
    """Of all functions, no one that may call an executor is left out. Of frozen modules, all others are."""
    everything = [value for value in gc.get_objects() if type(value) is types.FunctionType]
    kept = {id(function) for function in existing_functions._without_exec_free(everything)}
    frozen = executors_in_frozen_modules()
    assert "_LoaderBasics.exec_module" in dict(frozen["<frozen importlib._bootstrap_external>"])
    assert not frozen["<frozen abc>"]
    for function in everything:
        code = function.__code__
        if may_execute_code(code):
            assert id(function) in kept, code
        else:
            assert id(function) not in kept or code.co_filename not in frozen, code


def test_the_functions_of_a_start_are_those_that_existed_when_it_began():
    """They are used once. Later functions are found by the next call."""
    garbage_collector.find_functions()
    later = lambda: 0
    assert not any(function is later for function in garbage_collector.all_functions())
    assert any(function is later for function in garbage_collector.all_functions())
    garbage_collector.find_functions()
    garbage_collector.forget_functions()
    assert any(function is later for function in garbage_collector.all_functions())
