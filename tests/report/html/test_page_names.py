"""Names of pages are safe on each file system, and stay the same."""

import re

from hypothesis import given
from hypothesis import strategies as st

from instrument.report.html.page_names import page_names

PATHS = st.one_of(
    st.text(),
    st.sampled_from(["CON", "con", "aux.py", "a" * 5000, "ä" * 300, "\ud800", "", "A.py", "a.py", "../x", "index"]),
)


@given(st.lists(PATHS))
def test_names_are_safe_and_differ(paths):
    """A name has few characters, none of them special, and no two names are equal: equal paths included."""
    names = page_names(paths)

    assert len(set(names)) == len(names) == len(paths)
    for name in names:
        assert re.fullmatch(r"([a-z0-9_]{1,60}-)?[0-9a-f]{16}", name)


@given(st.lists(PATHS, unique=True), st.randoms())
def test_a_path_has_the_same_name_in_each_report(paths, random):
    """The name depends on no other file, so links stay valid."""
    shuffled = [*paths]
    random.shuffle(shuffled)

    assert dict(zip(paths, page_names(paths))) == dict(zip(shuffled, page_names(shuffled)))
