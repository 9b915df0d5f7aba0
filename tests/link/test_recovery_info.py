"""The infos that recovery needs are the same after they were packed."""

import marshal

import pytest

from instrument.link import recovery_info


@pytest.mark.parametrize("n", [0, 1, 10, 100, 5_000])
def test_marshalled_lists_are_the_same_after_compression(n):
    """Long ones become shorter, and short ones no longer."""
    marshalled = marshal.dumps([marshal.dumps(("file.py", f"function_{number}", [])) for number in range(n)])
    data = recovery_info.compressed(marshalled)
    assert recovery_info.decompressed(data) == marshalled
    assert len(data) <= len(marshalled)
    assert n < 100 or len(data) < len(marshalled) / 2
