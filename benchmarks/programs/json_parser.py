"""JSON parsed and written in Python: a recursive-descent parser over characters, dispatch on types."""

LOOPS = 1600

ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "r": "\r"}


class Parser:
    def __init__(self, text):
        self.text = text
        self.place = 0

    def parse(self):
        value = self.value()
        self.blank()
        if self.place != len(self.text):
            raise ValueError(f"extra text at {self.place}")
        return value

    def blank(self):
        text = self.text
        while self.place < len(text) and text[self.place] in " \t\r\n":
            self.place += 1

    def expect(self, character):
        if self.text[self.place] != character:
            raise ValueError(f"expected {character!r} at {self.place}")
        self.place += 1

    def value(self):
        self.blank()
        match self.text[self.place]:
            case "{":
                return self.object()
            case "[":
                return self.array()
            case '"':
                return self.string()
            case "t" | "f" | "n":
                return self.word()
            case _:
                return self.number()

    def object(self):
        result = {}
        self.expect("{")
        self.blank()
        while self.text[self.place] != "}":
            self.blank()
            key = self.string()
            self.blank()
            self.expect(":")
            result[key] = self.value()
            self.blank()
            if self.text[self.place] != ",":
                break
            self.place += 1
        self.expect("}")
        return result

    def array(self):
        result = []
        self.expect("[")
        self.blank()
        while self.text[self.place] != "]":
            result.append(self.value())
            self.blank()
            if self.text[self.place] != ",":
                break
            self.place += 1
        self.expect("]")
        return result

    def string(self):
        self.expect('"')
        parts = []
        while True:
            character = self.text[self.place]
            self.place += 1
            if character == '"':
                return "".join(parts)
            if character == "\\":
                escape = self.text[self.place]
                self.place += 1
                if escape == "u":
                    parts.append(chr(int(self.text[self.place:self.place + 4], 16)))
                    self.place += 4
                else:
                    parts.append(ESCAPES[escape])
            else:
                parts.append(character)

    def word(self):
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.place):
                self.place += len(word)
                return value
        raise ValueError(f"unknown word at {self.place}")

    def number(self):
        start = self.place
        text = self.text
        while self.place < len(text) and text[self.place] in "+-0123456789.eE":
            self.place += 1
        digits = text[start:self.place]
        try:
            return int(digits)
        except ValueError:
            return float(digits)


def write(value):
    """Yield the pieces of *value* as JSON."""
    if value is None:
        yield "null"
    elif value is True:
        yield "true"
    elif value is False:
        yield "false"
    elif isinstance(value, str):
        yield '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    elif isinstance(value, dict):
        yield "{"
        for index, (key, item) in enumerate(value.items()):
            if index:
                yield ", "
            yield from write(key)
            yield ": "
            yield from write(item)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ", "
            yield from write(item)
        yield "]"
    else:
        yield repr(value)


def document():
    return {
        "title": 'A "catalogue"\nof things',
        "price": 12.5, "count": -3, "ok": True, "none": None,
        "items": [{"id": number, "name": f"item {number}", "tags": ["a", "b\\c", "d"] * (number % 3),
                   "size": {"w": number / 4, "h": [number, number + 1, False]}} for number in range(12)],
    }


def main(loops):
    original = document()
    checksum = 0
    for _ in range(loops):
        text = "".join(write(original))
        parsed = Parser(text).parse()
        assert parsed == original
        checksum = (checksum + len(text) + len(parsed["items"])) % 1_000_003
    return checksum
