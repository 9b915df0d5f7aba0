"""Emits the exit stubs: code that counts or records an exception on its way to its handler.

The routes of all emitted pieces come in; one stub for each route that needs one goes into the `Output`, behind all
instructions. A stub finds lasti and the exception on the stack, and leaves both unchanged. It goes on to the original
handler by a jump or a RERAISE, or out of the code by a RERAISE.

A stub has no line, so it raises no line event. If a jump from the stub enters the handler, the handler raises one.
"""

from __future__ import annotations

from instrument.decode.opcodes import JUMP_BACKWARD_NO_INTERRUPT
from instrument.decode.versions import LASTI_IS_AN_INT
from instrument.flow.placement_names import CALLING
from instrument.flow.plan import ProbePosition
from instrument.rewrite import probes
from instrument.rewrite.output import NO_UNIT, PLACEHOLDERS
from instrument.rewrite.routes import DIRECT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.decode.instructions import Instructions
    from instrument.flow.plan import Plan
    from instrument.rewrite.output import Output
    from instrument.rewrite.places import Places
    from instrument.rewrite.routes import ExceptionRoutes, Route
    from instrument.rewrite.unlinked import ConstantLayout

    #: A code unit: place of a piece, and number of units behind its beginning.
    Unit = tuple[int, int]

_RERAISE, _DROP_LASTI, _POP = probes.reraise(), probes.drop_lasti(), probes.pop()


class StubNames:
    """The names of the original code object, and behind them the names of attributes that stubs look up.

    - `traceback`, `tb_lasti`: indices of `__traceback__` and `tb_lasti` in *names*; 0 on versions that need neither.
    """

    __slots__ = ("names", "tb_lasti", "traceback")

    def __init__(self, code: CodeType) -> None:
        self.names = list(code.co_names)
        self.traceback = self.tb_lasti = 0
        if not LASTI_IS_AN_INT:
            self.names += [name for name in ("__traceback__", "tb_lasti") if name not in code.co_names]
            self.traceback, self.tb_lasti = self.names.index("__traceback__"), self.names.index("tb_lasti")


class ExitStubs:
    """The exit stubs of one code object.

    - `labels`: the label of each route's stub.
    - `fallbacks`: (start, n_units, target, depth). Exceptions of *n_units* from *start* on, in a stub, go to *target*
      with *depth* entries of the stack kept.
    - `reraises`: (unit, handler) of each RERAISE that goes on to a handler of the original.

    Units are given as (place of a piece, number of units behind its beginning).
    """

    def __init__(
        self,
        instructions: Instructions,
        plan: Plan,
        layout: ConstantLayout,
        names: StubNames,
        output: Output,
        routes: ExceptionRoutes,
        places: Places,
    ) -> None:
        self.labels: dict[Route, int] = {}
        self.fallbacks: list[tuple[Unit, int, Unit, int]] = []
        self.reraises: list[tuple[Unit, int]] = []
        self._instructions = instructions
        self._calls = plan.placement in CALLING
        self._layout = layout
        self._names = names
        self._output = output
        self._routes = routes
        self._places = places

    def emit_stubs(self) -> None:
        """Emit a stub for each route of the `Output` that does not lead straight to its handler."""
        for route in dict.fromkeys([route for _, _, route in self._output.routes]):
            if route is not None and route[0] != DIRECT:
                self._emit_stub(route)

    def _append(self, piece: bytes) -> None:
        self._output.pieces.append(piece)
        self._output.sources.append((NO_UNIT, NO_UNIT))

    def _append_jump_back(self, label: int) -> None:
        op = JUMP_BACKWARD_NO_INTERRUPT
        self._output.jumps.append((len(self._output.pieces), op, label, True))
        self._append(PLACEHOLDERS[op])

    def _emit_stub(self, route: Route) -> None:
        """Emit the stub of *route*: count or record the exception, then go on to the handler.

        A record may fail: then the stub goes on by a fallback.
        """
        output = self._output
        place = len(output.pieces)
        self.labels[route] = output.new_label(len(output.pieces))
        counting = self._counting(route)
        is_record = route[0] not in (ProbePosition.RAISING, ProbePosition.EXITING) and not self._calls
        fallback = self._fallback(route) if is_record else b""
        n_counting = len(counting) // 2
        handler = self._routes.handler_of(route)
        if handler < 0 or self._routes.must_reraise(route):
            if handler >= 0:
                self.reraises.append(((place, n_counting), handler))
            code = counting + _RERAISE + fallback
            if is_record:
                self._add_fallbacks(route, place, n_counting, (place, n_counting + len(_RERAISE) // 2), fallback)
                code += probes.jump_back((len(_RERAISE) + len(fallback)) // 2)
            self._append(code)
            return
        self._append(counting)
        counted = output.new_label(len(output.pieces))
        entry = self._instructions.table[handler]
        if not entry.push_lasti and route[0] != ProbePosition.EXITING:
            self._append(_DROP_LASTI)
        self._append_jump_back(entry.target)
        if is_record:
            self._add_fallbacks(route, place, n_counting, (len(output.pieces), 0), fallback)
            self._append(fallback)
            self._append_jump_back(counted)

    def _counting(self, route: Route) -> bytes:
        """Return the instructions that count an exception on *route*."""
        kind, number = route
        layout, probe_code = self._layout, self._places.probe_code
        if kind == ProbePosition.RAISING:
            return b"".join(map(probe_code.__getitem__, self._places.raising[number]))
        if kind == ProbePosition.EXITING:
            return probe_code[number]
        base = layout.first_exit + self._routes.exit_record(route)
        if self._calls:
            return probes.call(base, exception=True)
        return probes.record_exit(
            *(layout.exit_records, base, layout.traceback_of, self._names.tb_lasti, layout.range_of_counts)
        )

    def _fallback(self, route: Route) -> bytes:
        """Return the fallback of a record: code that is entered if the record itself raises an exception.

        A record raises at the recursion limit, or without memory. The fallback appends the key of the exit to the list
        of late exits. If that raises, too, the exit is not counted. The last instruction of the fallback drops the
        exception that was raised. The caller adds a jump back to the end of the record.
        """
        base = self._layout.first_exit + self._routes.exit_record(route)
        late = probes.record_exit_late(self._layout.late_exits, base, self._names.traceback, self._names.tb_lasti)
        return late + _POP

    def _add_fallbacks(self, route: Route, place: int, n_counting: int, start: Unit, fallback: bytes) -> None:
        """Lead exceptions of the record at *place* to its *fallback* at *start*, and those of the fallback to its end.

        The record has *n_counting* units.
        """
        handler = self._routes.handler_of(route)
        depth = self._instructions.table[handler].depth + 2 if handler >= 0 else 2
        n_late = (len(fallback) - len(_POP)) // 2
        self.fallbacks.append(((place, 0), n_counting, start, depth))
        self.fallbacks.append((start, n_late, (start[0], start[1] + n_late), depth))
