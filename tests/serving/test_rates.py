"""Rates between two moments, and the plot of the last moments."""

from hypothesis import given
from hypothesis import strategies as st

from instrument.serving.rates import N_KEPT, N_MOMENTS, SHORTEST, Counts, History, hottest, plot, rates_between

keys = st.tuples(st.sampled_from(["a-1", "b-2"]), st.integers(1, 5), st.sampled_from(["", "f"]))
counts = st.dictionaries(keys, st.integers(0, 2**70))
rates = st.dictionaries(keys, st.floats(0.01, 1e9))


@given(counts, counts, st.floats(0, 1e6), st.floats(0, 1e3))
def test_rates_times_seconds_are_the_growth(before, after, moment, seconds):
    """A count that fell or stayed has no rate, and no time is too short."""
    found = rates_between(Counts(moment, before, {}), Counts(moment + seconds, after, after))
    passed = max(moment + seconds - moment, SHORTEST)
    assert found.functions == {
        key: (count - before.get(key, 0)) / passed for key, count in after.items() if count > before.get(key, 0)
    }
    assert set(found.lines) == {key for key, count in after.items() if count}


@given(rates, st.integers(1, 6), st.sampled_from(["", "a-1"]))
def test_the_hottest_come_first(rates, n, page):
    """No key that is left out has a higher rate."""
    found = hottest(rates, n, page)
    left_out = {key for key in rates if not page or key[0] == page} - set(found)
    assert [rates[key] for key in found] == sorted((rates[key] for key in found), reverse=True)
    assert len(found) == n or not left_out
    assert all(rates[key] <= rates[found[-1]] for key in left_out)


@given(st.lists(rates, max_size=8), st.integers(1, 4))
def test_a_plot_has_a_rate_for_each_moment(samples, n):
    """A function that did not run at a moment has the rate 0 there."""
    history = History()
    for moment, sample in enumerate(samples):
        history.add(moment, sample)
    series = plot(history.moments(), n)
    assert [moment for moment, _ in history.moments()] == list(range(len(samples)))
    for key, of_key in series:
        assert of_key == [sample.get(key, 0.0) for sample in samples]
    sums = [sum(each.rates) for each in series]
    assert sums == sorted(sums, reverse=True)


def test_a_history_is_bounded():
    """Old moments and low rates are dropped."""
    history = History()
    for moment in range(N_MOMENTS + 5):
        history.add(moment, {("a", line, "f"): line for line in range(1, N_KEPT + 10)})
    moments = history.moments()
    assert [moments[0][0], len(moments)] == [5, N_MOMENTS]
    assert min(moments[-1][1].values()) == 10
    assert len(moments[-1][1]) == N_KEPT
