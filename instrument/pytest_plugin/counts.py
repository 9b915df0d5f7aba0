"""Makes the object of the fixture `counts`: the counts of a test, for its own assertions.

The scope of the run comes in. It is that of the recorder; without `--instrument`, the settings decide. Then the code is
counted from the first test on that asks for the fixture.
"""

from __future__ import annotations

from instrument.config import read_settings
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

        Raise InstrumentError if there is no scope, or if an item is neither a name nor a path.
        """
        if not scope:
            raise InstrumentError('counts.of() needs a scope, as in counts.of("shop")')
        return Section([scope_item(item) for item in scope])

    assert_growth = staticmethod(assert_growth)


def counts_of_test() -> CountsOfTest:
    """Return the counts of a test, which begin with its `with` block. Raise ConfigError if a setting is impossible."""
    recorder = current()
    return CountsOfTest((read_settings() if recorder is None else recorder.settings).scope)
