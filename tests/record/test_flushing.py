"""The schedule of flushes: the first may be early."""

import pytest

from instrument.record.flushing import FlushSchedule


@pytest.mark.parametrize(("seconds", "is_early"), [(0, False), (0.5, False), (10, True)])
def test_the_first_flush_is_early_if_it_comes_before_its_time(seconds, is_early):
    """Later ones never are."""
    schedule = FlushSchedule(seconds)
    assert schedule.is_early == is_early
    schedule.plan_next()
    assert not schedule.is_early
