"""Do some work under an audit hook that raises an exception for events in frames of the package.

    forbidding.py trace CLASS     call `Trace.runfunc` once for each place in the package that raises an audit event
    forbidding.py EVENT CLASS     work in a recorded process, raise at each EVENT; "os." stands for all events of `os`

CLASS is the base of the exception: Exception or BaseException. The output is the same in a process that is not measured.
"""

import gc
import os
import sys
import threading

if sys.argv[1] == "trace":
    from instrument.guest import own_loader

    own_loader.hides = False  # the hook identifies the package's functions by their frames
    from instrument.trace import Trace

    # Of existing functions, only those below are instrumented: instrumenting all of them took most of the time.
    gc.freeze()
    import colorsys

    #: The namespace of a module without a file: its function calls `exec`, and its lines are not counted.
    unmeasured = {"__name__": "unmeasured"}
    exec("def execute(text):\n    exec(text)\n", unmeasured)

KIND = {"Exception": Exception, "BaseException": BaseException}[sys.argv[2]]
PACKAGE = os.sep + "instrument" + os.sep


class Forbidden(KIND):
    """The exception that the hook raises."""


class Hook:
    """Notes where frames of the package raise audit events, and raises an exception at places that are *forbidden*."""

    def __init__(self):
        self.places = {}
        self.is_armed = False
        self.forbidden = None
        self.n_raised = 0
        self._in_it = set()

    def __call__(self, event, arguments):
        thread = threading.get_ident()
        if not self.is_armed or thread in self._in_it:
            return
        self._in_it.add(thread)
        try:
            frame = sys._getframe(1)
            name = frame.f_code.co_filename
            place = event, name.rpartition(PACKAGE)[2], frame.f_code.co_name, frame.f_lineno
        finally:
            self._in_it.discard(thread)
        # The program raises "os.fork", also where the frame is the package's, as on 3.13.0.
        if PACKAGE not in name or name == __file__ or event == "os.fork":
            return
        self.places[place] = self.places.get(place, 0) + 1
        if self.forbidden is not None and self.forbidden(place):
            self.n_raised += 1
            raise Forbidden(*place)


hook = Hook()


def work(number):
    """Run code objects that are new in each call, and return a number that depends on *number* alone."""
    text = f"def f(n):\n    total = {number}\n    for i in range(n):\n        total += i\n    return total\n"
    space = {"__file__": __file__, "__name__": "made"}
    exec(compile(text, __file__ + "x", "exec"), space)
    exec("n = f(3)", space)
    try:
        raise ValueError(number)
    except ValueError:
        pass
    return space["n"]


def trace():
    """Call `Trace.runfunc` with the hook raising at each place, always and once; print failures and a summary."""

    def once(number):
        hook.is_armed = True
        try:
            return Trace(count=1, trace=0).runfunc(work, number)
        finally:
            hook.is_armed = False

    assert once(0) == 3
    done = set()
    n = 0
    while todo := [place for place in hook.places if place not in done]:
        for place in todo:
            for forbidden in (place.__eq__, lambda at, place=place: at == place and hook.n_raised == 0):
                n += 1
                hook.forbidden, hook.n_raised = forbidden, 0
                try:
                    assert once(n) == 3 + n
                except BaseException as error:
                    print("FAILED", place, type(error), error)
            done.add(place)
    print(len(done) > 10, Trace(count=1, trace=0).runfunc(work, 1))
    print(*sorted(done), len(done), sep="\n", file=sys.stdout) if "-v" in sys.argv else None


if sys.argv[1] == "trace":
    sys.addaudithook(hook)
    trace()
else:
    event = sys.argv[1]
    hook.forbidden = lambda place: place[0] == event or (event.endswith(".") and place[0].startswith(event))
    hook.is_armed = True
    sys.addaudithook(hook)
    import colorsys  # noqa: F401

    for number in range(3):
        print(work(number))
    if hasattr(os, "fork"):
        if not (child := os.fork()):
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sys.exit(5)
