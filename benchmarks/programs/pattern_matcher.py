"""Regular expressions compiled to a machine and run in lock step: lists of states, branches on opcodes."""

LOOPS = 760

CHARACTER, ANY, SPLIT, JUMP, MATCH = range(5)

PATTERNS = ["a*b", "(ab|a)*c", "x.y.*z", "(a|b)(c|d)*e+f?", "h(el)*lo*", "..*a..*a.."]
TEXTS = ["aaaaab", "ababaabac", "x1yhello worldz", "acdcdcdeeef", "helellooo", "banana arena", "nothing at all"]


class Compiler:
    """Patterns with . * + ? | and groups, in Thompson's instructions."""

    def __init__(self, pattern):
        self.pattern = pattern
        self.place = 0

    def peek(self):
        return self.pattern[self.place] if self.place < len(self.pattern) else ""

    def alternatives(self):
        left = self.sequence()
        while self.peek() == "|":
            self.place += 1
            right = self.sequence()
            left = [(SPLIT, 1, len(left) + 2), *left, (JUMP, len(right) + 1), *right]
        return left

    def sequence(self):
        code = []
        while self.peek() and self.peek() not in "|)":
            code += self.repeated()
        return code

    def repeated(self):
        code = self.atom()
        while self.peek() and self.peek() in "*+?":
            sign = self.peek()
            self.place += 1
            if sign == "*":
                code = [(SPLIT, 1, len(code) + 2), *code, (JUMP, -len(code) - 1)]
            elif sign == "+":
                code = [*code, (SPLIT, -len(code), 1)]
            else:
                code = [(SPLIT, 1, len(code) + 1), *code]
        return code

    def atom(self):
        character = self.peek()
        self.place += 1
        if character == "(":
            code = self.alternatives()
            self.place += 1
            return code
        return [(ANY,)] if character == "." else [(CHARACTER, character)]


def compile_pattern(pattern):
    return [*Compiler(pattern).alternatives(), (MATCH,)]


def follow(code, state, states, seen):
    """Add *state*, and all that it leads to without reading, to *states*."""
    if state in seen:
        return
    seen.add(state)
    operation = code[state]
    if operation[0] == JUMP:
        follow(code, state + operation[1], states, seen)
    elif operation[0] == SPLIT:
        follow(code, state + operation[1], states, seen)
        follow(code, state + operation[2], states, seen)
    else:
        states.append(state)


def search(code, text):
    """Return the end of the first match in *text*, or -1."""
    states = []
    for place in range(len(text) + 1):
        character = text[place:place + 1]
        coming, seen = [], set()
        follow(code, 0, states, set(states))
        for state in states:
            operation = code[state]
            kind = operation[0]
            if kind == MATCH:
                return place
            if character and (kind == ANY or operation[1] == character):
                follow(code, state + 1, coming, seen)
        states = coming
    return -1


def main(loops):
    total = 0
    for _ in range(loops):
        for pattern in PATTERNS:
            code = compile_pattern(pattern)
            for text in TEXTS:
                total = (total * 31 + search(code, text * 2)) % 1_000_000_007
    return total
