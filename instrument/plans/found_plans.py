"""Plans: finds plan files by their names, without trust in them. Only readers of data files load this module.

A plan file is beside the data files that need it, in the folder `plans`, or in the table `plan` of a file of sums. Its
name is a hash of its content, so a file with another content is refused, wherever it comes from.
"""

from __future__ import annotations

import os

from instrument.errors import DataError
from instrument.guest.trusted_files import read_regular
from instrument.plans.group_plans import GroupPlans
from instrument.plans.plan_file import LARGEST, LENGTH_OF_NAME, name_of
from instrument.plans.plan_folder import FOLDER, SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def is_name(name: object) -> bool:
    """Return whether *name* can be the name of a plan file: then it leads out of no folder."""
    return isinstance(name, str) and len(name) == LENGTH_OF_NAME and not name.strip("0123456789abcdef")


class Plans:
    """Finds plan files by their names: beside data files, or among the files that were added."""

    def __init__(self) -> None:
        #: The data folders in which plan files are searched. As the name tells the content, any folder will do.
        self._folders: dict[str, None] = {}
        self._contents: dict[str, bytes] = {}
        self._plans: dict[str, GroupPlans] = {}

    def search_beside(self, data_files: Iterable[str]) -> None:
        """Search plan files beside these *data_files* from now on, too."""
        self._folders.update(dict.fromkeys(map(os.path.dirname, data_files)))

    def add(self, name: str, content: bytes) -> None:
        """Add the plan file *name*; raise DataError if the name of its *content* is another."""
        if name not in self._contents:
            if not is_name(name) or name_of(content) != name:
                raise DataError(
                    f"its plan {name[: LENGTH_OF_NAME + 1]!r} is damaged: the name of its content is another"
                )
            self._contents[name] = content

    def content(self, name: str) -> bytes:
        """Return the content of the plan file *name*; raise DataError if there is none, or if it is damaged."""
        if name not in self._contents:
            if not is_name(name):
                raise DataError(f"it is damaged: {name[: LENGTH_OF_NAME + 1]!r} is no name of a plan file")
            self.add(name, self._content_beside_data(name))
        return self._contents[name]

    def _content_beside_data(self, name: str) -> bytes:
        """Return the content of the plan file *name* in the first folder that has it, or raise DataError."""
        for folder in self._folders:
            path = os.path.join(folder, FOLDER, f"{name}{SUFFIX}")
            try:
                return read_regular(path, LARGEST)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise DataError(f"its plan file {path!r} cannot be read: {reason}") from error
        raise DataError(
            f"its counts need the file {os.path.join(FOLDER, name + SUFFIX)!r}, which is not beside it: "
            f"copy the folder {FOLDER!r} together with the data files, or combine them first"
        )

    def plan(self, name: str) -> GroupPlans:
        """Return the plans in the plan file *name*; raise DataError if there is none, or if it is damaged."""
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = GroupPlans(self.content(name))
        return plan
