"""Print the counts of a data folder, the first argument, as JSON.

- lines: the counts of the run, by path and line. Several sources can have one path: their counts are added up.
- contexts: the sums of all contexts.
- tests: the sums of the contexts of tests alone.
- repeatable: the sums of all contexts but start and end, which each process has in its own way.
- names: the number of contexts.
- problems: texts about files that were refused, and about work whose place is not known.
"""

import collections
import json
import re
import sys

from instrument.analysis.contexts.work import ContextWork
from instrument.data.query import StoredMeasurement

OF_TEST = re.compile(r"\|(?:setup|call|teardown)$")
OF_PROCESS = ("start of the run", "end of the run")


def by_path(counts):
    """Return the sums of *counts*, pairs of a file and its counts by line, by path and line."""
    sums = collections.defaultdict(collections.Counter)
    for (path, *_), lines in counts:
        sums[path].update(lines)
    return sums


def main():
    with StoredMeasurement(sys.argv[1:]) as stored:
        work = ContextWork(stored)
        names = work.names()

        def sums(chosen):
            return by_path((each.file, each.lines) for each in work.of_contexts(chosen))

        answer = {
            "lines": by_path((file, stored.counts(file).lines.counts()) for file in stored.files()),
            "contexts": sums(names),
            "tests": sums([name for name in names if OF_TEST.search(name)]),
            "repeatable": sums([name for name in names if name not in OF_PROCESS]),
            "names": len(names),
            "problems": [*work.reasons, *map(str, stored.refused), *(f"cut off: {each}" for each in stored.cut_off)],
        }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
