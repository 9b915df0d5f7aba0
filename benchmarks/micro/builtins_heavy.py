"""Work done in C, with few lines of Python around it: sorting, summing, JSON and regular expressions."""

import json
import re

WORD = re.compile(r"([a-z]+)-([0-9]+)")


def main(loops):
    total = 0
    numbers = [number * 7_919 % 10_007 for number in range(3_000)]
    record = {"name": "value-12", "items": numbers[:200], "nested": [{"key": "other-7"}] * 20}
    for _ in range(loops):
        ordered = sorted(numbers)
        total += sum(ordered[::3]) + max(numbers) + len(set(numbers))
        text = json.dumps(record)
        total += len(json.loads(text)["items"])
        for name, digits in WORD.findall(text):
            total += len(name) + int(digits)
    return total
