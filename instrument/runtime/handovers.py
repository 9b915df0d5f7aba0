"""Which modules may hand code to the interpreter, remembered from process to process.

Modules that are not measured are asked, too: code that they execute may be measured. Few of them hand any over, and to
look through all code of one takes a tenth of what its import takes. So those that do not are noted in the cache, by the
stamp of their bytecode file: as long as it is the same file, unchanged, nobody has to look.
"""

from __future__ import annotations

from instrument.flow.handovers import hands_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    from instrument.runtime.cache import Cache
    from instrument.runtime.importer import Import
    from instrument.runtime.sources import Stamp

_SHELF = "hand nothing over"
_MOST = 20_000


class Handovers:
    """What is known of modules; kept in *cache*."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._quiet: dict[str, Stamp] = cache.load(_SHELF) or {}
        self._new: dict[str, Stamp] = {}

    def may_be_in(self, code: CodeType, awaited: Import | None) -> bool:
        """Return whether *code* may hand code over: that of the module that is *awaited*, or any if that is None."""
        if awaited is not None and self.are_not_in(awaited):
            return False
        found = hands_over(code)
        if not found and awaited is not None and awaited.stamp is not None:
            self._quiet[awaited.path] = self._new[awaited.path] = awaited.stamp
        return found

    def are_not_in(self, awaited: Import) -> bool:
        """Return whether the module that is *awaited* is known to hand no code over."""
        return awaited.stamp is not None and self._quiet.get(awaited.path) == awaited.stamp

    def keep(self) -> None:
        """Write what is new to the cache."""
        if self._new:
            new, self._new = self._new, {}
            known = self._cache.load(_SHELF) or {}  # others may have written meanwhile
            self._cache.store(_SHELF, {**known, **new} if len(known) < _MOST else new)
