"""Laws are found by the texts that people write."""

import pytest

from instrument.analysis.growth.laws import LAWS, column_of, columns_up_to, position
from instrument.errors import InstrumentError


@pytest.mark.parametrize(
    ("text", "law"),
    [
        *((law, law) for law in LAWS),
        *(("constant", "1"), ("O(1)", "1"), ("log(n)", "log n"), ("linear", "n"), ("O(n)", "n"), ("n*log n", "n log n")),
        *(("O(n log(n))", "n log n"), ("n log2 n", "n log n"), ("n^2", "n²"), ("n**2", "n²"), ("n ^ 3", "n³"), ("2**n", "2^n")),
    ],
)
def test_a_law_has_several_texts(text, law):
    """Spaces and O() make no difference."""
    assert LAWS[position(text)] == law


@pytest.mark.parametrize("text", ["", "n^4", "n!", "m", "O(n", "log"])
def test_other_texts_are_refused(text):
    """The message lists all laws."""
    with pytest.raises(InstrumentError, match=r"is no growth law; name one of '1', 'log n', 'n', 'n log n', 'n²'"):
        position(text)


@pytest.mark.parametrize("sizes", [[1, 2, 3], [16, 256, 4096], [10**6, 10**9, 10**12]])
@pytest.mark.parametrize("law", range(len(LAWS)))
def test_terms_stay_within_floats(law, sizes):
    """Each term is 1 at the largest size, and no larger before; the main term of the law is among them."""
    columns = columns_up_to(law, sizes, 4.0)
    assert all(column[-1] == 1 and 0 <= min(column) <= max(column) <= 1 for column in columns)
    assert column_of(law, sizes, 4.0) in columns
