"""Names the pages of source files.

Paths come in, and names of files go out. A path may be long, and have any characters. A name has lower-case letters,
digits, `_` and `-` only. So no name needs an escape in a URL, and none is reserved: each ends with a hash. Names that
differ also differ on file systems that ignore case. A path has the same name in each report, so links stay valid.
"""

from __future__ import annotations

import re
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters of the path in a name, and of the hash.
_LONGEST, _HASH = 60, 16


def page_names(paths: Iterable[str]) -> list[str]:
    """Return a name for the page of each of *paths*, without a suffix. Equal paths get different names."""
    names: list[str] = []
    n_before: dict[str, int] = {}
    for path in paths:
        n = n_before[path] = n_before.get(path, -1) + 1
        names.append(_name(path, n))
    return names


def _name(path: str, n: int) -> str:
    """Return the name of the page for *path*, of which *n* pages are named already."""
    words = re.sub(r"[^a-z0-9]+", "_", path.lower())[-_LONGEST:].strip("_")
    hashed = sha256(f"{n}\0{path}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{words}-{hashed[:_HASH]}" if words else hashed[:_HASH]
