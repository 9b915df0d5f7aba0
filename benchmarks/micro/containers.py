"""Work on dicts, lists, sets and tuples: indexing, unpacking, membership, appending and popping."""


def main(loops):
    total = 0
    for _ in range(loops):
        groups = {}
        stack = []
        seen = set()
        for number in range(2_000):
            key = number * 7 % 31
            group = groups.setdefault(key, [])
            group.append(number)
            pair = (key, len(group))
            if pair not in seen:
                seen.add(pair)
            stack.append(pair)
            if len(stack) > 50:
                left, right = stack.pop()
                total += left + right
        for key, group in groups.items():
            group[0], group[-1] = group[-1], group[0]
            total += key * group[0]
    return total
