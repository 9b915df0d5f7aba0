"""Emits the exit stubs: code that counts or records an exception on its way to its handler.

The routes of all emitted pieces come in; one stub for each route that needs one goes into the `Output`, behind all
instructions. A stub finds lasti and the exception on the stack, and leaves both unchanged. It goes on to the original
handler by a jump or a RERAISE, or out of the code by a RERAISE.

A stub has no line, so it raises no line event. If a jump from the stub enters the handler, the handler raises one.
"""

from __future__ import annotations

from instrument.decode.opcodes import JUMP_BACKWARD_NO_INTERRUPT
from instrument.decode.versions import LASTI_IS_AN_INT
from instrument.flow.placement import CALLING
from instrument.flow.plan import ProbePosition
from instrument.rewrite import probes
from instrument.rewrite.routes import DIRECT
from instrument.rewrite.tables import NO_UNIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.decode.instructions import Instructions
    from instrument.flow.plan import Plan
    from instrument.rewrite.constant_layout import ConstantLayout
    from instrument.rewrite.output import Output
    from instrument.rewrite.routes import ExceptionRoutes, Route


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
    - `fallbacks`: (place, end, label, depth). Exceptions of the pieces from *place* to *end*, which are part of a stub,
      go to *label* with *depth* entries of the stack kept.
    - `reraises`: (place, handler) of each RERAISE that goes on to a handler of the original.
    """

    def __init__(
        self,
        instructions: Instructions,
        plan: Plan,
        layout: ConstantLayout,
        names: StubNames,
        output: Output,
        routes: ExceptionRoutes,
        raising: dict[int, list[int]],
    ) -> None:
        self.labels: dict[Route, int] = {}
        self.fallbacks: list[tuple[int, int, int, int]] = []
        self.reraises: list[tuple[int, int]] = []
        self._instructions = instructions
        self._calls = plan.placement in CALLING
        self._layout = layout
        self._names = names
        self._output = output
        self._routes = routes
        self._raising = raising

    def emit_stubs(self) -> None:
        """Emit a stub for each route of the `Output` that does not lead straight to its handler."""
        for _, route in list(self._output.routes):
            if route is not None and route[0] != DIRECT and route not in self.labels:
                self._emit_stub(route)

    def _emit_stub(self, route: Route) -> None:
        """Emit the stub of *route*: count or record the exception, then go on to the handler."""
        output = self._output
        self.labels[route] = output.new_label()
        output.set_label(self.labels[route])
        start = len(output.pieces)
        self._emit_counting(route)
        stop = len(output.pieces)
        counted = output.new_label()
        output.set_label(counted)
        self._emit_way_on(route)
        if route[0] not in (ProbePosition.RAISING, ProbePosition.EXITING) and not self._calls:
            self._emit_fallback(route, start, stop, counted)

    def _emit_counting(self, route: Route) -> None:
        """Emit the instructions that count an exception on *route*."""
        kind, number = route
        output, layout = self._output, self._layout
        if kind == ProbePosition.RAISING:
            for probe in self._raising[number]:
                output.emit(output.probe(probe), NO_UNIT)
        elif kind == ProbePosition.EXITING:
            output.emit(output.probe(number), NO_UNIT)
        elif self._calls:
            function = layout.first_exit + self._routes.exit_record(route)
            output.emit(probes.call(function, exception=True), NO_UNIT)
        else:
            record = probes.record_exit(
                *(layout.exit_records, layout.first_exit + self._routes.exit_record(route), layout.traceback_of),
                *(self._names.tb_lasti, layout.range_of_counts),
            )
            output.emit(record, NO_UNIT)

    def _emit_way_on(self, route: Route) -> None:
        """Emit the instructions by which the exception goes on from the stub of *route*."""
        output = self._output
        handler = self._routes.handler_of(route)
        if handler < 0:
            output.emit(probes.reraise(), NO_UNIT)
        elif self._routes.must_reraise(route):
            self.reraises.append((len(output.pieces), handler))
            output.emit(probes.reraise(), NO_UNIT)
        else:
            entry = self._instructions.table[handler]
            if not entry.push_lasti and route[0] != ProbePosition.EXITING:
                output.emit(probes.drop_lasti(), NO_UNIT)
            output.jump(JUMP_BACKWARD_NO_INTERRUPT, entry.target, True, NO_UNIT)

    def _emit_fallback(self, route: Route, start: int, stop: int, counted: int) -> None:
        """Emit the code that follows if the instructions from *start* to *stop*, which record an exit, fail.

        They fail at the recursion limit and out of memory. The key of the exit then goes into the list of late exits.
        If that fails, too, the exit is not counted. In each case the stub goes on at the label *counted*.
        """
        output, layout = self._output, self._layout
        handler = self._routes.handler_of(route)
        depth = self._instructions.table[handler].depth + 2 if handler >= 0 else 2
        late, dropped = output.new_label(), output.new_label()
        output.set_label(late)
        self.fallbacks.append((start, stop, late, depth))
        start = len(output.pieces)
        base = layout.first_exit + self._routes.exit_record(route)
        record = probes.record_exit_late(layout.late_exits, base, self._names.traceback, self._names.tb_lasti)
        output.emit(record, NO_UNIT)
        output.set_label(dropped)
        self.fallbacks.append((start, len(output.pieces), dropped, depth))
        output.emit(probes.pop(), NO_UNIT)
        output.jump(JUMP_BACKWARD_NO_INTERRUPT, counted, True, NO_UNIT)
