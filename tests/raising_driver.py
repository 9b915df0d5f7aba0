"""Runs a counted program under trace functions, for tests/test_raising_tracers.py, and prints each difference.

    raising_driver.py raise KIND PLACEMENT     the trace function raises an exception of KIND, at each event in turn
    raising_driver.py read PLACEMENT           the trace function reads counts at each line
"""

import itertools
import os
import sys
from collections import Counter

import instrument

RAISING = '''
def numbers(n):
    for i in range(n):
        try:
            yield i
        finally:
            n -= 1

def check(n):
    if n % 2:
        raise ValueError(n)
    return [x
            for x in range(n)
            if x]

class Context:
    def __enter__(self):
        return self
    def __exit__(self, *exception):
        return False

def f(n):
    total = 0
    for i in range(n):
        try:
            total += len(check(i))
        except ValueError as error:
            total += 1
        else:
            total += 2
        finally:
            total += 3
    with Context() as c:
        total += sum(numbers(3))
    while total > 20:
        total -= 7
        if total % 3 == 0:
            continue
        total -= 1
    exec("def g(k):\\n    return k\\ng(3)")
    return total

def outer(n):
    try:
        total = f(n)
    except KeyError:
        return "caught"
    total += 1
    return total
'''
FILE = os.path.abspath("raising.py")


def attempts(function, kind):
    """Run *function* under a trace function that raises *kind* at its first event, at its second, and so on.

    Yield for each run (result or name of the exception, lines of the traceback, event at which it was raised).
    """
    for most in itertools.count(1):
        events = []

        def trace(frame, event, _, events=events, most=most):
            if frame.f_code.co_filename != FILE:
                return None
            events.append((event, frame.f_code.co_name, frame.f_lineno))
            if len(events) == most:
                raise kind
            return trace

        lines = []
        try:
            sys.settrace(trace)
            outcome = function(4)
        except BaseException as error:
            outcome = type(error).__name__
            step = error.__traceback__
            while step is not None:
                if step.tb_frame.f_code.co_filename == FILE:
                    lines.append(step.tb_lineno)
                step = step.tb_next
        finally:
            sys.settrace(None)
        yield outcome, lines, events[-1]
        if len(events) < most:
            return


def counted(placement):
    """Run the program under a Trace with *placement*; return that Trace and the program's variables."""
    names = {"__name__": "raising", "__file__": FILE}
    tracer = instrument.Trace(count=1, trace=0, placement=placement)
    tracer.runctx(compile(RAISING, FILE, "exec"), names, names)
    return tracer, names


def raise_at_each_event(kind, placement):
    plain = {"__name__": "raising"}
    exec(compile(RAISING, FILE, "exec"), plain)
    tracer, names = counted(placement)
    expected = list(attempts(plain["outer"], kind))
    actual = tracer.runfunc(lambda: list(attempts(names["outer"], kind)))
    assert len(expected) == len(actual) > 50
    for one, other in zip(expected, actual):
        if one != other:
            print(one, other)
    counts = tracer.results().counts
    for line in (14, 30, 43):
        if not counts.get((FILE, line)):
            print(f"line {line} is not counted")


def read_at_each_line(placement):
    tracer, names = counted(placement)
    seen = Counter(tracer.results().counts)

    def trace(frame, event, _):
        if frame.f_code.co_filename != FILE:
            return None
        if event == "line":
            place = FILE, frame.f_lineno
            seen[place] += 1
            # The probe of a line may stand behind the start of the line.
            if seen[place] - tracer.results().counts.get(place, 0) not in (0, 1):
                print(place, tracer.results().counts.get(place), seen[place])
        return trace

    def run():
        sys.settrace(trace)
        try:
            names["outer"](4)
        finally:
            sys.settrace(None)

    tracer.runfunc(run)
    counts = tracer.results().counts
    for place, n in seen.items():
        if place[0] == FILE and counts[place] != n:
            print(place, counts[place], n)


if sys.argv[1] == "raise":
    raise_at_each_event({"KeyError": KeyError, "OSError": OSError, "Stop": KeyboardInterrupt}[sys.argv[2]], sys.argv[3])
else:
    read_at_each_line(sys.argv[2])
