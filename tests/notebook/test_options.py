"""Options are read from the line of the magic, and wrong ones are named."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.errors import OptionError
from instrument.notebook.options import Options, measured_cell, options_of_cell, read_options

names = st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True).filter(str.isidentifier)
items = st.from_regex(r"(\./)?[a-z_][a-z_.]{0,5}", fullmatch=True)
rests = st.text().map(str.strip).filter(lambda text: not text.startswith("--"))


@given(st.booleans(), st.lists(items, max_size=3), st.none() | names, rests, st.booleans(), st.data())
def test_options_in_any_order_are_read_back(only_cell, scope, save, rest, with_equals, data):
    """The rest of the line is any text, without the blanks around it."""
    joint = "=" if with_equals else " "
    words = [f"--scope{joint}{item}" for item in scope]
    order = data.draw(st.permutations([*["--only-cell"] * only_cell, *[f"--save{joint}{save}"] * (save is not None)]))
    line = " ".join([*order, *words, rest])

    assert read_options(line) == Options(only_cell, tuple(scope), save or "", rest)


def test_items_of_a_scope_may_be_joined_by_commas():
    """As in the variable INSTRUMENT."""
    assert read_options("--scope shop,tools/ --scope=json").scope == ("shop", "tools/", "json")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--html", "there is no option --html: use --only-cell, --scope ITEM or --save NAME"),
        ("--only-cell=1", "there is no option --only-cell"),
        ("--", "there is no option --:"),
        ("--save", "--save needs the name of a variable, and got 'nothing'"),
        ("--save 1x", "--save needs the name of a variable, and got '1x'"),
        ("--scope", "--scope needs the name of a module, or a path"),
        ("--scope=,", "--scope needs the name of a module, or a path"),
    ],
)
def test_wrong_options_are_named(line, message):
    """The message names the possible ones."""
    with pytest.raises(OptionError, match=re.escape(message)):
        read_options(line)


def test_code_beside_the_magic_is_an_error():
    """IPython has the same rule for `%%time`."""
    with pytest.raises(OptionError, match=r"takes options only, and not 'f\(1\)': write code below it"):
        options_of_cell("--only-cell f(1)")
    with pytest.raises(OptionError, match="takes options only"):
        measured_cell(["%%instrument f(1)\n", "x\n"])


@pytest.mark.parametrize("first", ["%%instrumented", "%%time", "%instrument x", " %%instrument", "%%instrument?", "x = 1"])
def test_other_cells_are_not_measured(first):
    """Nor is a cell without a body, for which IPython has a message."""
    assert measured_cell([f"{first}\n", "x\n"]) is None
    assert measured_cell(["%%instrument\n", "\n"]) is None
    assert measured_cell([]) is None


@pytest.mark.parametrize(
    ("body", "is_shortened", "magic"),
    [
        (["x\n", "y\n"], False, ""),
        (["x\n"], True, ""),
        (["%%time\n", "x\n"], True, "time"),
        (["\n", "x\n"], False, ""),
    ],
)
def test_a_comment_stands_for_the_line_of_the_magic_if_possible(body, is_shortened, magic):
    """It goes if a second magic follows, or if one line does."""
    cell = measured_cell(["%%instrument --only-cell\n", *body])

    assert (cell.options, cell.body) == (Options(only_cell=True), body)
    assert (cell.is_shortened(), cell.inner_magic()) == (is_shortened, magic)


def test_blank_lines_before_a_second_magic_are_removed():
    """IPython does so at the top of a cell."""
    assert measured_cell(["%%instrument\n", "\n", "%%time\n", "x\n"]).body == ["%%time\n", "x\n"]


@pytest.mark.parametrize("body", [["x\n"], ["x\n", "y\n"], ["\n", "x\n"], ["%%time\n", "x\n"], ["\n", "%%time\n", "x\n"]])
def test_lines_have_their_numbers_in_the_cell(body):
    """`%%instrument` is line 1, whether it stays as a comment or is removed."""
    lines = ["%%instrument\n", *body]
    cell = measured_cell(lines)
    compiled = cell.body if cell.is_shortened() else ["# a comment\n", *cell.body]
    for number, text in enumerate(compiled, 1):
        assert text in (lines[cell.number(number) - 1], "# a comment\n")
