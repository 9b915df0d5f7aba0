"""Least-recently-used and counting caches under a skewed load: dicts, linked nodes, dunder methods."""

LOOPS = 170


class Node:
    __slots__ = ("after", "before", "key", "value")

    def __init__(self, key=None, value=None):
        self.key = key
        self.value = value
        self.before = self.after = self


class RecentlyUsed:
    """A dict and a ring of nodes, the newest before the root."""

    def __init__(self, size):
        self.size = size
        self.nodes = {}
        self.root = Node()
        self.hits = self.misses = 0

    def __len__(self):
        return len(self.nodes)

    def __contains__(self, key):
        return key in self.nodes

    def unlink(self, node):
        node.before.after = node.after
        node.after.before = node.before

    def push(self, node):
        root = self.root
        node.before, node.after = root.before, root
        root.before.after = node
        root.before = node

    def get(self, key, make):
        node = self.nodes.get(key)
        if node is not None:
            self.hits += 1
            self.unlink(node)
            self.push(node)
            return node.value
        self.misses += 1
        if len(self) >= self.size:
            oldest = self.root.after
            self.unlink(oldest)
            del self.nodes[oldest.key]
        node = self.nodes[key] = Node(key, make(key))
        self.push(node)
        return node.value


class OftenUsed:
    """Buckets of keys by how often they were asked for."""

    def __init__(self, size):
        self.size = size
        self.values = {}
        self.uses = {}
        self.buckets = {}

    def touch(self, key):
        uses = self.uses.get(key, 0)
        if uses:
            bucket = self.buckets[uses]
            del bucket[key]
            if not bucket:
                del self.buckets[uses]
        self.uses[key] = uses + 1
        self.buckets.setdefault(uses + 1, {})[key] = True

    def __getitem__(self, key):
        value = self.values[key]
        self.touch(key)
        return value

    def __setitem__(self, key, value):
        if key not in self.values and len(self.values) >= self.size:
            least = min(self.buckets)
            victim = next(iter(self.buckets[least]))
            del self.buckets[least][victim]
            if not self.buckets[least]:
                del self.buckets[least]
            del self.values[victim], self.uses[victim]
        self.values[key] = value
        self.touch(key)


def keys(count, seed):
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) % 4294967296
        first = seed >> 24
        yield first if first < 64 else first * 3 + seed % 5


def main(loops):
    recent, often = RecentlyUsed(100), OftenUsed(100)
    total = 0
    for turn in range(loops):
        for key in keys(1000, turn):
            total += recent.get(key, lambda k: k * k % 17)
            try:
                total += often[key]
            except KeyError:
                often[key] = key % 13
    return total, recent.hits, recent.misses, len(often.values)
