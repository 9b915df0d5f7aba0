"""Shows how the code of a file is rewritten: `instrument debug --code FILE[:FUNCTION]`.

A target comes in, and whether to run the file; drawings of its functions are printed (flow.drawing). They show
blocks, edges, probes and exit stubs. With a run they also show how often control took each edge.

Data files hold counts of lines and entries, not flows of edges. So the file itself is executed, once, as a main program
without arguments. Only its own code is counted, and nothing is saved.
"""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
import traceback
from types import CodeType, ModuleType

from instrument.errors import ConservationError
from instrument.flow.conservation import recover_flows
from instrument.flow.drawing import draw
from instrument.flow.placement import graph_of, plan
from instrument.flow.placement_names import MINIMAL
from instrument.link.code_group import group_of
from instrument.link.unlinked_values import nested_code
from instrument.report.text import say
from instrument.session.deltas import Span, SpanDelta
from instrument.session.session import Session
from instrument.session.snapshot import take_snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.flow.conservation import Flows
    from instrument.session.deltas import Delta
    from instrument.session.snapshot import Snapshot


def show_code(target: str, *, run: bool) -> int:
    """Print the drawings of the functions that *target* names; return the exit status.

    *target* is FILE, for all functions, or FILE:FUNCTION. A function is named by its qualified name, or the end of it.
    The status is 1 if there is no such file or function, or if the file cannot be compiled.
    """
    path, function = _split(target)
    try:
        with open(path, "rb") as file:
            data = file.read()
        source = importlib.util.decode_source(data).splitlines()
        code = compile(data, path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        say([f"instrument: the code of {path} cannot be shown: {error}"], sys.stderr)
        return 1
    tree = nested_code(code)
    shown = [index for index, inner in enumerate(tree) if _is_called(inner, function)]
    if not shown:
        names = ", ".join(inner.co_qualname for inner in tree)
        say([f"instrument: {path} has no function {function}; it has: {names}"], sys.stderr)
        return 1
    flows = _flows_of_run(code, path) if run else {}
    for index in sorted(shown, key=lambda index: tree[index].co_firstlineno):
        say([*_drawing_of(tree[index], source, flows.get(index), run=run), ""])
    return 0


def _split(target: str) -> tuple[str, str]:
    """Return the path and the function of *target*; no function if there is a file with the whole name."""
    path, separator, function = target.rpartition(":")
    if not separator or os.path.exists(target) or os.sep in function:
        return target, ""
    return path, function


def _is_called(code: CodeType, function: str) -> bool:
    """Return whether *function* names *code*: by its qualified name, or by the end of it; "" names all code."""
    return not function or code.co_qualname == function or code.co_qualname.endswith(f".{function}")


def _drawing_of(code: CodeType, source: list[str], flows: Flows | str | None, *, run: bool) -> list[str]:
    """Return the drawing of *code* with its *flows*, or with the reason why there are none."""
    try:
        graph = graph_of(code, MINIMAL)
    except ValueError as error:
        return [f"{code.co_qualname}, line {code.co_firstlineno}: not rewritten: {error}"]
    if isinstance(flows, str):
        return [*draw(graph, plan(graph), source), "", f"no flows: {flows}"]
    lines = draw(graph, plan(graph), source, flows)
    return [*lines, "", "no flows: this code was not executed"] if run and flows is None else lines


# A run ################################################################################################################


def _flows_of_run(code: CodeType, path: str) -> dict[int, Flows | str]:
    """Execute *code* as the main program at *path*; return the Flows of each code object that ran.

    The keys are indices in `nested_code`. In place of Flows that contradict each other, there is a text that says so.
    """
    session = Session(MINIMAL)
    live = session.instrument_exec_code(code, path)
    before = take_snapshot(session)
    _execute(live, path)
    return {delta.index: _flows_of(delta) for delta in _deltas_between(session, before, take_snapshot(session))}


def _execute(code: CodeType, path: str) -> None:
    """Execute *code* as the main program at *path*; print the traceback of an exception that it raises."""
    main = ModuleType("__main__")
    main.__file__ = path
    own_main, arguments, search_path = sys.modules["__main__"], sys.argv, list(sys.path)
    sys.modules["__main__"], sys.argv = main, [path]
    sys.path[0:0] = [os.path.dirname(os.path.abspath(path))]
    try:
        vars(main)["__builtins__"] = vars(builtins)  # else those of this package
        exec(code, vars(main))
    except SystemExit:
        pass
    except BaseException as error:
        # The first entry is that of this function.
        traceback.print_exception(type(error), error, error.__traceback__.tb_next if error.__traceback__ else None)
    finally:
        sys.modules["__main__"], sys.argv = own_main, arguments
        sys.path[:] = search_path
        sys.stdout.flush()


def _deltas_between(session: Session, before: Snapshot, now: Snapshot) -> list[Delta]:
    """Return a Delta for each code object of *session* that ran between two snapshots."""
    deltas: list[Delta] = []
    for group in session.groups.values():
        exits = [
            (key, n - before.exits.get(key, 0))
            for key, n in now.exits.items()
            if group_of(key) == group.number and n != before.exits.get(key, 0)
        ]
        in_flight = [(place, n) for place, n in now.in_flight.items() if n and group_of(place[0]) == group.number]
        span = Span(group, 0, len(group))
        deltas += SpanDelta(span, before.remaining_of(group), now.remaining_of(group), exits, in_flight).split()
    return deltas


def _flows_of(delta: Delta) -> Flows | str:
    """Return how often control took each edge, by the readings in *delta*; a text if these contradict each other."""
    info = delta.group.recovery_info(delta.index)
    exits = {delta.group.exit_at(key, len(info.plan.exits)): n for key, n in delta.exits.items()}
    try:
        return recover_flows(info.plan, info.observe(delta.fired, exits, delta.in_flight))
    except ConservationError as error:
        return str(error)
