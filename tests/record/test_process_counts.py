"""Whatever fails and is repeated, the tallies that are taken for writing add up to the counts of the process."""

from hypothesis import example, given
from hypothesis import strategies as st

from instrument.model.counts import Counts
from instrument.record.process_counts import ProcessCounts

FILES = [("/a.py", "sha256:1"), ("/b.py", "sha256:2")]
STEPS = st.one_of(
    st.tuples(st.just("count"), st.sampled_from(FILES), st.integers(1, 3)),
    st.tuples(st.sampled_from(["write", "fail", "lose"]), st.none(), st.none()),
)


def keys_to_write(counts):
    """Return (field, file, key) of each tally that is taken."""
    return {
        (field, file, key) for field, changes in counts.changes.items() for file, keys in changes.take() for key in keys
    }


@given(st.lists(STEPS, max_size=12))
@example([("count", FILES[0], 1), ("fail", None, None)])
@example([("count", FILES[0], 1), ("write", None, None), ("lose", None, None), ("fail", None, None)])
def test_each_count_is_written_in_the_end(steps):
    """A failed write is repeated whole, and a lost file is written anew with all counts."""
    counts = ProcessCounts()
    written, changed = {}, set()
    for step, file, line in [*steps, ("write", None, None)]:
        if step == "count":
            counts.add(file, ("f", 1), Counts({line: 2}, 1), 5.0)
            changed |= {("lines", file, line), ("functions", file, ("f", 1))}
        elif step == "lose":
            written.clear()
            counts.mark_all()
        else:
            assert counts.have_changed() == any(key not in written or key in changed for key in tallies(counts))
            keys = keys_to_write(counts)
            if step == "fail":
                counts.restore()
            else:
                counts.commit()
                written.update((key, tallies(counts)[key]) for key in keys)
                changed.clear()

    assert written == tallies(counts)
    assert not counts.have_changed()


def tallies(counts):
    """Return the tally of each (field, file, key) that the process has."""
    return {
        (fact.field, file, key): series[key]
        for file, file_counts in counts.measurement.files.items()
        for fact, series in file_counts.series()
        for key in series
    }
