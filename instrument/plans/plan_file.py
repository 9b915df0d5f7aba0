"""Plan files: all that is known of a code group before it runs, written once for each version of the code.

The Plans of a `CodeGroup` go out as bytes. A reader, perhaps under another Python, makes `group_plans.GroupPlans` of
these bytes. With the ProbeCounts of any process, these recover lines, function entries and flows.

So a process saves bare numbers when it ends. Go stores its coverage in the same way (internal/coverage: meta-data
files and counter data files).

The name of a plan file is a hash of its content, and the size of it. So a file of this name holds this content, whoever
wrote it, and the processes that run the same code share it. The size shows files that were cut off.
"""

from __future__ import annotations

import sys
from _imp import source_hash

from instrument.decode.versions import INLINED_CALL_LOSES_LINE
from instrument.model.plain_values import to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.link.code_group import CodeGroup

#: How a plan file begins, and the version of its content.
MAGIC = b"INSTpln\n"
LAYOUT = 1
#: The two keys of the hash in the name of a plan file: each gives 64 bits.
_KEYS = (LAYOUT, LAYOUT + (1 << 32))
#: The number of characters of a name, and how many of them are the hash. The others are the size in bytes.
LENGTH_OF_NAME, LENGTH_OF_HASH = 40, 32
#: Bytes. A part of a plan file is no larger when it is decompressed, nor is the file. [3.12: 15 bytes for a line]
LARGEST = 1 << 26


def content_of(group: CodeGroup) -> bytes:
    """Return the content of the plan file of *group*."""
    index, packed, sizes = group.for_plan_file()
    _, first_lines, starts, keys = index.as_tuple()
    facts = (sys.byteorder, INLINED_CALL_LOSES_LINE, first_lines, starts, keys, tuple(sizes), packed)
    return MAGIC + to_bytes((LAYOUT, *facts))


def name_of(content: bytes) -> str:
    """Return the name of the plan file with *content*, which has LENGTH_OF_NAME hexadecimal digits."""
    return f"{b''.join([source_hash(key, content) for key in _KEYS]).hex()}{len(content):08x}"


def size_in(name: str) -> int:
    """Return the size in bytes of the plan file *name*."""
    return int(name[LENGTH_OF_HASH:], 16)
