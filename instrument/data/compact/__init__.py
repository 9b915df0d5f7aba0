"""Compact data files: the counts of one process that has not written to SQLite yet.

`writing` makes the bytes of such a file, and `reading` makes a database of them, in the format of `data.schema`.

Problem: to load SQLite and to create the tables takes 7 ms of CPU time, and many processes take 20 ms in all. To write
and rename a small file takes 0.2 ms.
Solution: a process writes a compact file a second after its start, and if it ends soon after. If it goes on, all counts
go to an SQLite file, and then the compact file is removed. If both are there, the SQLite file has more flushes, so
readers take that one. `instrument combine` makes one SQLite file of all.
Alternatives: a database that is made without SQLite. Its pages would have to be as SQLite makes them, and such a file
is ten times as large.

A process writes the counts of its probes only, which takes it the least time. Readers recover lines and functions from
these by the plan files beside the compact file (`instrument.plans.plan_file`), as seen at the time of the write.

The file has a header (`HEADER`), then numbers, times, text, and counts of probes. Numbers are 64 bits wide and signed.
Times are floating point of 64 bits. All are stored with the lowest byte first. The text is one string, in UTF-8 with
surrogates. Each list below takes its values from these three, one after the other. A text is a number, its length in
characters, and so many characters of the string.

- Since layout 2, the length in bytes of all counts of probes, which are behind the text.
- The process: its texts (PROCESS_TEXTS), whether there is a scope (0 or 1), its numbers (PROCESS_NUMBERS), and its
  times (PROCESS_TIMES). The columns are those of the table `process` in `data.schema`.
- The facts: their number. For each: the name of its table as a text, and the number of its sections, which have the
  rows of one file each. Then come the number of the file of each section, and the number of rows of each section. Then
  come the first column of all rows, the second one, and so on, and the counts of all rows. A number says how many times
  there are. It is 1 if first and last time are the same for all rows: these two follow. Else it is the number of rows:
  all first times follow, then all last times.
- The reasons: their number; for each, a path and the reason.
- The functions that were given out: their number; for each, the number of a file, name, line and receiver.
- The files: their number; for each, path and version. The first file has the number 0.
- Since layout 2, the code groups: their number; the number of the file of each; the name of the plan file of each. Then
  comes the length in bytes of the encoded ProbeCounts of each (`instrument.model.probe_counts`).
"""

from __future__ import annotations

#: How a compact data file begins.
MAGIC = b"INSTcmp\n"
#: The version of this layout. The header also has the version of the format in `data.schema`, which decides on the
#: facts in the file.
LAYOUT = 2
#: `struct` format of the header: MAGIC, LAYOUT, `schema.VERSION`, how many numbers and times there are, the length of
#: the text in bytes, and the checksum. That is the hash of all bytes before and behind it.
HEADER = "<8sIIQQQ8s"
HEADER_SIZE = 48
#: The key of the checksum.
CHECKSUM_KEY = 1
#: The greatest size of such a file in bytes: readers hold it in memory. Larger ones are written by SQLite.
LARGEST = 1 << 28

PROCESS_TEXTS = ("id", "host", "argv", "python", "directory", "place", "ended", "scope")
PROCESS_NUMBERS = ("pid", "parent", "ticks", "flushes", "root")
PROCESS_TIMES = ("started", "updated")
