"""Takes the counts of code objects from a Reading, as the recorder does before it writes lines."""

from instrument.record.reading import Recovery


def taken_counts(reading):
    """Yield code group, number, qualified name and counts of each code object that ran since the last call."""
    deltas = [*reading.take()]
    deltas.reverse()
    yield from Recovery(reading._session, lambda: True).take_counts(deltas)
