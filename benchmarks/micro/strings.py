"""Strings built piece by piece: formatting, concatenation, splitting, joining, slices and methods."""


def main(loops):
    size = 0
    for _ in range(loops):
        parts = []
        for number in range(600):
            word = f"item-{number:04d}"
            word += "/" + word[::-1]
            if word.startswith("item-00"):
                word = word.upper()
            parts.append(word)
        text = ",".join(parts)
        fields = text.split(",")
        for field in fields:
            head, _, tail = field.partition("/")
            size += len(head.strip("item-")) + tail.count("0")
    return size
