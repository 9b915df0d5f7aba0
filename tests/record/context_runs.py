"""Runs code in contexts that begin anywhere, and recovers the lines of each; tests of contexts share this."""

import ast

from small_runs import FILE, added_lines
from taken_counts import taken_counts

from instrument.flow import placement
from instrument.link.cache import Batch
from instrument.record.contexts import ContextCounts
from instrument.record.reading import Reading
from instrument.session.session import Session


class Run:
    """Runs code in contexts: `begin` begins the next context, also from within the code."""

    def __init__(self, source="", **names):
        self.session = Session(placement.MINIMAL)
        self.reading = Reading(self.session, lambda: True, from_first_code=True)
        self.contexts = ContextCounts(self.session, "first")
        self.names = {"begin": self.contexts.begin, **names}
        if source:
            self.run(compile(source, FILE, "exec"))

    def run(self, code, names=None, *, lives_on=True):
        """Run *code* as that of a module, or as a text that can be retired if it does not live on."""
        if lives_on:
            batch = Batch(self.session.unlinked_code.cache())
            (live,) = self.session.instrument_existing_code([code], FILE, batch)
        else:
            live = self.session.instrument_exec_code(code, FILE)
        exec(live, self.names if names is None else names)

    def end(self):
        """End the last context; return the lines of each context, and those of the run."""
        self.contexts.begin("after the end")
        whole = added_lines(taken_counts(self.reading))
        return {name: self.lines_of(name) for name in self.contexts.contexts}, whole

    def lines_of(self, name):
        """Return how often each line ran in the context *name*."""
        patterns = list(self.contexts.patterns())
        lines = {}
        for number in self.contexts.contexts[name]:
            _, group, index, counts = patterns[number]
            packed = group.packed()
            info = packed.fast_path_info(index)
            frames = {unit: n for (_, unit), n in counts.in_flight.items()}
            recovered = packed.recover(index, info, counts.fired.tolist(), list(counts.exits.items()), frames)
            for line, n in recovered.lines.items() if recovered else ():
                lines[line] = lines.get(line, 0) + n
        return {line: n for line, n in lines.items() if n}


def sums(contexts):
    """Return the sum over all *contexts*, by line."""
    total = {}
    for lines in contexts.values():
        for line, n in lines.items():
            total[line] = total.get(line, 0) + n
    return {line: n for line, n in total.items() if n}


class Beginnings(ast.NodeTransformer):
    """Puts calls of `begin_context` in front of statements of functions and modules: before one of *every* so many."""

    def __init__(self, every):
        self.every = every
        self.n = 0

    def generic_visit(self, node):
        """Change the lists of statements in *node*, but no documentation and no import of `__future__`."""
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list) and not isinstance(node, ast.ClassDef):
                setattr(node, field, [each for statement in statements for each in self.changed(statement)])
        return node

    def changed(self, statement):
        """Return *statement*, with a call in front of it if it is its turn."""
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        is_future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        self.n += 1
        if self.n % self.every or is_text or is_future:
            return [statement]
        call = ast.Expr(ast.Call(ast.Name("begin_context", ast.Load()), [], []))
        return [ast.fix_missing_locations(ast.copy_location(call, statement)), statement]
