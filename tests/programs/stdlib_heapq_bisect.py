import bisect
import heapq
import itertools


class Job:
    def __init__(self, rank):
        self.rank = rank

    def __lt__(self, other):
        return self.rank < other.rank


heap = []
for rank in (3, 1, 2):
    heapq.heappush(heap, Job(rank))
print([heapq.heappop(heap).rank for _ in range(3)])
print(bisect.bisect([1, 3, 5], 3, key=lambda n: n), heapq.nsmallest(2, [3, 1, 2], key=lambda n: -n))
print([(k, list(g)) for k, g in itertools.groupby([1, 3, 2, 4], key=lambda n: n % 2)])
print(list(itertools.takewhile(lambda n: n < 3, itertools.count())), list(itertools.accumulate([1, 2], lambda a, b: a * b)))
