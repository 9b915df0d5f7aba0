"""The cells of a shell of IPython: their file names, labels and texts, and the namespace that they run in."""

from __future__ import annotations

import linecache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Cells:
    """The cells that *shell* has compiled so far."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def is_cell(self, file_name: str) -> bool:
        """Return whether *file_name* is that of a cell."""
        return self._shell.compile.format_code_name(file_name) is not None

    def label(self, file_name: str) -> str:
        """Return the name of a cell as tracebacks have it, such as `In[3]`; of another file, *file_name* itself."""
        found = self._shell.compile.format_code_name(file_name)
        return file_name if found is None else str(found[1])

    def text(self, file_name: str) -> str:
        """Return the text that was compiled, after IPython has replaced magics; empty if it is no longer known."""
        return "".join(linecache.getlines(file_name))

    def transformed(self, text: str) -> str:
        """Return the *text* of a cell after IPython has replaced magics; *text* itself if it is no valid input."""
        try:
            return str(self._shell.transform_cell(text))
        except SyntaxError:
            return text

    def namespace(self) -> dict[str, Any]:
        """Return the global variables of the cells."""
        namespace: dict[str, Any] = self._shell.user_global_ns
        return namespace

    def module_file(self) -> str | None:
        """Return the `__file__` of the module that the cells run in; None if it has none, as in a notebook."""
        file = self.namespace().get("__file__")
        return file if isinstance(file, str) else None
