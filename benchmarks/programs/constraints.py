"""A network of one-way constraints with strengths, planned and re-planned: object graphs, sets and recursion."""

LOOPS = 240

REQUIRED, STRONG, MEDIUM, WEAK = range(4)


class Variable:
    def __init__(self, name, value=0):
        self.name = name
        self.value = value
        self.constraints = []
        self.determined_by = None
        self.strength = WEAK + 1
        self.mark = 0


class Constraint:
    def __init__(self, strength):
        self.strength = strength

    def inputs(self):
        return []

    def is_satisfied(self):
        return self.output is not None and self.output.determined_by is self

    def execute(self):
        raise NotImplementedError


class Stay(Constraint):
    def __init__(self, variable, strength):
        super().__init__(strength)
        self.output = variable

    def execute(self):
        pass


class Edit(Stay):
    def __init__(self, variable, strength, value):
        super().__init__(variable, strength)
        self.value = value

    def execute(self):
        self.output.value = self.value


class Scale(Constraint):
    """output = source * factor + offset"""

    def __init__(self, source, output, factor, offset, strength=REQUIRED):
        super().__init__(strength)
        self.source = source
        self.output = output
        self.factor = factor
        self.offset = offset

    def inputs(self):
        return [self.source]

    def execute(self):
        self.output.value = self.source.value * self.factor + self.offset


class Sum(Constraint):
    def __init__(self, sources, output, strength=REQUIRED):
        super().__init__(strength)
        self.sources = sources
        self.output = output

    def inputs(self):
        return self.sources

    def execute(self):
        self.output.value = sum(source.value for source in self.sources) % 1_000_003


class Planner:
    def __init__(self):
        self.mark = 0

    def add(self, constraint):
        """Let *constraint* determine its output if nothing stronger does; return the constraint that it displaced."""
        output = constraint.output
        for variable in [*constraint.inputs(), output]:
            variable.constraints.append(constraint)
        displaced = output.determined_by
        if displaced is not None and displaced.strength <= constraint.strength:
            return None
        output.determined_by = constraint
        self.propagate(output)
        return displaced

    def remove(self, constraint):
        """Take *constraint* out; the strongest of the others takes its place."""
        output = constraint.output
        for variable in [*constraint.inputs(), output]:
            variable.constraints.remove(constraint)
        if output.determined_by is constraint:
            output.determined_by = min(
                (other for other in output.constraints if other.output is output),
                key=lambda other: other.strength, default=None)
            self.propagate(output)

    def propagate(self, variable):
        """Recompute the strengths downstream of *variable*."""
        todo = [variable]
        seen = set()
        while todo:
            current = todo.pop()
            if current.name in seen:
                continue
            seen.add(current.name)
            by = current.determined_by
            if by is None:
                current.strength = WEAK + 1
            else:
                current.strength = max([by.strength, *(source.strength for source in by.inputs())])
            for constraint in current.constraints:
                if constraint.output is not current and constraint.is_satisfied():
                    todo.append(constraint.output)

    def plan(self, sources):
        """Return the satisfied constraints downstream of *sources*, each after those it depends on."""
        self.mark += 1
        order = []

        def visit(variable):
            if variable.mark == self.mark:
                return
            variable.mark = self.mark
            for constraint in variable.constraints:
                if constraint.output is not variable and constraint.is_satisfied():
                    visit(constraint.output)
            if variable.determined_by is not None:
                order.append(variable.determined_by)

        for source in sources:
            visit(source)
        order.reverse()
        return order


def chain(planner, length):
    """Build a chain of scalings with a sum at every fifth place; return its variables."""
    variables = [Variable(f"v{index}", index) for index in range(length)]
    for index, (left, right) in enumerate(zip(variables, variables[1:])):
        if index % 5 == 4:
            planner.add(Sum(variables[index - 4:index + 1], right))
        else:
            planner.add(Scale(left, right, 1 + index % 3, index))
        planner.add(Stay(right, WEAK))
    return variables


def main(loops):
    checksum = 0
    for turn in range(loops):
        planner = Planner()
        variables = chain(planner, 60)
        for value in range(15):
            edit = Edit(variables[value % 3], STRONG if value % 2 else MEDIUM, value + turn)
            planner.add(edit)
            for constraint in planner.plan([edit.output]):
                constraint.execute()
            planner.remove(edit)
        checksum = (checksum * 31 + variables[-1].value + variables[-1].strength) % 1_000_000_007
    return checksum
