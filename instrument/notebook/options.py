"""The options of `%%instrument` and `%instrument`, and the cells that begin with `%%instrument`.

Lines of input come in, Options go out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from instrument.errors import OptionError

_OPTION = re.compile(r"--(?P<name>[\w-]*)(?:=(?P<value>\S*))?(?:\s+|$)")
_VALUE = re.compile(r"(?P<value>\S+)(?:\s+|$)")
_MAGIC = re.compile(r"%%(\w+)")
_MAGIC_LINE = re.compile(r"%%instrument(?:\s+(?P<options>.*?))?\s*$")


class Options(NamedTuple):
    """The options of one measurement.

    - only_cell: whether functions of earlier cells are left out of the report.
    - scope: the modules and paths that are measured beside the cells, as `instrument.counting` takes them.
    - save: the variable that gets the report; empty if none does.
    - rest: the text behind the options.
    """

    only_cell: bool = False
    scope: tuple[str, ...] = ()
    save: str = ""
    rest: str = ""


def read_options(line: str) -> Options:
    """Return the options at the beginning of *line*, and the rest; raise OptionError if one is wrong."""
    options, rest = Options(), line.strip()
    while match := _OPTION.match(rest):
        name, value, rest = match["name"], match["value"], rest[match.end() :]
        if name == "only-cell" and value is None:
            options = options._replace(only_cell=True)
            continue
        if name not in ("scope", "save"):
            raise OptionError(f"there is no option --{name}: use --only-cell, --scope ITEM or --save NAME")
        if value is None and (found := _VALUE.match(rest)):
            value, rest = found["value"], rest[found.end() :]
        if name == "save":
            if not (value or "").isidentifier():
                raise OptionError(f"--save needs the name of a variable, and got {value or 'nothing'!r}")
            options = options._replace(save=value or "")
        else:
            items = tuple(item for item in (value or "").split(",") if item)
            if not items:
                raise OptionError("--scope needs the name of a module, or a path, as in --scope shop")
            options = options._replace(scope=options.scope + items)
    return options._replace(rest=rest)


class MeasuredCell(NamedTuple):
    """A cell that begins with `%%instrument`: its *options*, and the lines of its *body*, with their ends.

    It *is_nested* if another magic runs it. *above* is the number of lines from `%%instrument` on that are above the
    body.
    """

    options: Options
    body: list[str]
    is_nested: bool = False
    above: int = 1

    def is_shortened(self) -> bool:
        """Return whether the cell runs without its first line.

        IPython treats cells of a single line in a special way, and a second magic must come first. In all other cells a
        comment replaces the first line, so lines keep their numbers.
        """
        return self.is_nested or len(self.body) == 1 or self.inner_magic() != ""

    def number(self, compiled: int) -> int:
        """Return the number in the cell of the line that is compiled as line *compiled*; `%%instrument` is line 1."""
        return compiled + self.above if self.is_shortened() else compiled

    def inner_magic(self) -> str:
        """Return the name of the cell magic at the beginning of the body, as in `time`; empty if there is none."""
        match = _MAGIC.match(self.body[0]) if self.body else None
        return match[1] if match else ""


def options_of_cell(line: str) -> Options:
    """Return the options of a cell that *line* has behind `%%instrument`; raise OptionError if there is other text."""
    options = read_options(line)
    if options.rest:
        raise OptionError(f"%%instrument takes options only, and not {options.rest!r}: write code below it")
    return options


def measured_cell(lines: list[str]) -> MeasuredCell | None:
    """Return the measured cell that *lines* are; None if they are another cell, or have no body.

    Raise OptionError if the options are wrong.
    """
    match = _MAGIC_LINE.match(lines[0]) if lines else None
    if match is None or not any(line.strip() for line in lines[1:]):
        return None
    first = next(number for number, line in enumerate(lines) if number and line.strip())
    above = first if _MAGIC.match(lines[first]) else 1
    return MeasuredCell(options_of_cell(match["options"] or ""), lines[above:], above=above)
