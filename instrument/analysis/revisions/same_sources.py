"""Finds out whether data are of the commit that is checked out: which of the sources that ran differ from it.

The file versions of a measurement and a Repository come in. Paths go out, each with a reason.
"""

from __future__ import annotations

import os

from instrument.analysis.local_paths import local_paths
from instrument.analysis.source_file import has_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.analysis.revisions.git import Repository
    from instrument.model.measurement import FileKey


def other_sources(keys: Sequence[FileKey], repository: Repository) -> dict[str, str]:
    """Return why a file of *keys* is not as in the commit HEAD of *repository*, by its path in the working tree.

    Files outside of the working tree are left out, and so are files that git ignores: no commit has them.
    """
    local = local_paths(keys)
    tracked, untracked = repository.tracked(), repository.untracked()
    changed = repository.changed_since("HEAD") - untracked
    reasons = {}
    for key in keys:
        path = os.path.realpath(local.get(key, key[0]))
        if not path.startswith(os.path.join(repository.root, "")):
            continue
        name = os.path.relpath(path, repository.root).replace(os.sep, "/")
        if name in changed:
            reasons[name] = "it differs from the commit"
        elif name in untracked:
            reasons[name] = "the commit does not have it"
        elif name in tracked and not has_version(path, key[1]):
            reasons[name] = "another version of it ran"
    return reasons
