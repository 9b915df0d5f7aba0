"""Text split into words, wrapped, justified and counted: string methods, dicts, sorting with keys."""

LOOPS = 690

WORDS = """counts are conserved what flows into a block flows out of it so the counts of the edges off any spanning tree
determine all the others and if the tree has maximum weight the edges left to count are the rare ones""".split()


def paragraph(number):
    """Return a made-up paragraph, different for each *number*."""
    words = []
    state = number * 7919 + 1
    for place in range(90):
        state = (state * 69069 + 1) % 4294967296
        word = WORDS[state // 65536 % len(WORDS)]
        if place % 11 == 0:
            word = word.capitalize()
        elif place % 11 == 10:
            word += "."
        words.append(word)
    return " ".join(words)


def tokenize(text):
    """Return the words and the punctuation of *text*, character by character."""
    tokens = []
    word = ""
    for character in text:
        if character.isalnum() or character == "_":
            word += character
            continue
        if word:
            tokens.append(word)
            word = ""
        if not character.isspace():
            tokens.append(character)
    if word:
        tokens.append(word)
    return tokens


def wrap(text, width):
    lines, line, length = [], [], 0
    for word in text.split():
        if line and length + len(line) + len(word) > width:
            lines.append(line)
            line, length = [], 0
        line.append(word)
        length += len(word)
    if line:
        lines.append(line)
    return lines


def justify(words, width):
    gaps = len(words) - 1
    if not gaps:
        return words[0].ljust(width)
    spaces = width - sum(map(len, words))
    each, extra = divmod(spaces, gaps)
    result = ""
    for index, word in enumerate(words):
        result += word
        if index < gaps:
            result += " " * (each + (1 if index < extra else 0))
    return result


def most_common(tokens):
    counts = {}
    for token in tokens:
        token = token.lower()
        if token in counts:
            counts[token] += 1
        else:
            counts[token] = 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]


def main(loops):
    checksum = 0
    for number in range(loops):
        for part in range(8):
            text = paragraph(number * 8 + part)
            lines = [justify(line, 48) for line in wrap(text, 48)]
            checksum += sum(map(len, lines)) + sum(count for _, count in most_common(tokenize(text)))
    return checksum
