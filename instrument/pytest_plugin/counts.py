"""Makes the object of the fixture `counts`: the counts of a test, for its own assertions.

The scope of the run comes in. It is that of the recorder; without `--instrument`, the settings decide. Then the code is
counted from the first test on that asks for the fixture.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from instrument.config import read_settings
from instrument.config.values import OWN
from instrument.errors import InstrumentError
from instrument.in_process import scope_item
from instrument.record.recorder import current
from instrument.sections.growth import assert_growth
from instrument.sections.section import Section

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from types import ModuleType


class CountsOfTest(Section):
    """The counts of the code in the scope of the run, since the fixture was set up, and sections of the test."""

    def of(self, *scope: str | os.PathLike[str] | ModuleType) -> Section:
        """Return a section that counts *scope* in a `with` block: modules and packages by name, files by path.

        Raise InstrumentError if there is no scope, or if an item is neither a path nor the name of a module.
        """
        if not scope:
            raise InstrumentError('counts.of() needs a scope, as in counts.of("shop")')
        items = [scope_item(item) for item in scope]
        for item in items:
            if item != OWN and item.replace(".", "").isidentifier() and not _may_be_module(item):
                raise InstrumentError(
                    f"counts.of({item!r}): there is no such module; name a module, a package or a path"
                )
        return Section(items)

    assert_growth = staticmethod(assert_growth)


def _may_be_module(name: str) -> bool:
    """Return whether *name* can be imported, as far as that is known without importing the packages around it."""
    package = name.rpartition(".")[0]
    if name in sys.modules or (package and package not in sys.modules):
        return name in sys.modules or _may_be_module(package)
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # the package is a module, or is none that was imported
        return False


def counts_of_test() -> CountsOfTest:
    """Return the counts of a test, which begin with its `with` block. Raise ConfigError if a setting is impossible."""
    recorder = current()
    return CountsOfTest((read_settings() if recorder is None else recorder.settings).scope)
