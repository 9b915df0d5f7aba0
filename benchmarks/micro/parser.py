"""A tokeniser and a recursive-descent parser of arithmetic: ordinary code, a bit of everything."""

TEXT = "1 + 2 * (3 - 4) * 5 + ((6 + 7) * 8 - 9) / 3 - 10 * (11 + 12 / 4)"


def tokens(text):
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace():
            position += 1
        elif character.isdigit():
            end = position
            while end < len(text) and text[end].isdigit():
                end += 1
            yield int(text[position:end])
            position = end
        else:
            yield character
            position += 1
    yield None


class Parser:
    def __init__(self, text):
        self.tokens = tokens(text)
        self.token = next(self.tokens)

    def take(self):
        token, self.token = self.token, next(self.tokens, None)
        return token

    def sum(self):
        value = self.product()
        while self.token in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self):
        value = self.atom()
        while self.token in ("*", "/"):
            value = value * self.atom() if self.take() == "*" else value // self.atom()
        return value

    def atom(self):
        if (token := self.take()) != "(":
            return token
        value = self.sum()
        self.take()
        return value


def main(loops):
    return [Parser(TEXT).sum() for _ in range(loops * 20)][-1]
