"""Writes profiles in the format of Callgrind, for callgrind_annotate, KCachegrind and QCachegrind.

An `Exported` comes in; lines of text go out. The events are Hits, in the unit of the export, and Instructions if the
flow of control is known.

All costs are self costs: counts have no record of who called whom, so a profile has no calls and no inclusive cost.
"""

from __future__ import annotations

from instrument.report.exports.numbers import IN_WORDS, unique_names
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from instrument.model.measurement import FunctionKey
    from instrument.report.exports.numbers import Exported, FileNumbers

_MODULE: FunctionKey = ("<module>", 1)


def write(exported: Exported) -> Iterator[str]:
    """Yield the lines of the profile of *exported*. Lines that never ran are left out."""
    with_instructions = any(file.instructions is not None for file in exported.files)
    yield "# callgrind format"
    yield "version: 1"
    yield f"creator: instrument {__version__}"
    yield "pid: 0"
    yield "cmd: instrument"
    yield "part: 1"
    yield ""
    yield f"desc: Unit: Hits are {IN_WORDS[exported.unit]}"
    yield "desc: Cost: self cost only, since calls are not recorded"
    yield ""
    yield "positions: line"
    yield f"events: Hits{' Instructions' if with_instructions else ''}"
    sums = [sum(sum(file.lines.values()) for file in exported.files)]
    if with_instructions:
        sums.append(sum(sum((file.instructions or {}).values()) for file in exported.files))
    yield f"summary: {' '.join(map(str, sums))}"
    names: dict[str, int] = {}
    for n, file in enumerate(exported.files, 1):
        yield from _file(file, n, names, with_instructions)
    yield ""
    yield f"totals: {' '.join(map(str, sums))}"


def _file(file: FileNumbers, number: int, names: dict[str, int], with_instructions: bool) -> Iterator[str]:
    """Yield the costs of *file*, which gets this *number*; *names* has the numbers of names of functions so far."""
    owners = {} if file.file.source.reason else file.file.source.owners()
    by_function: dict[FunctionKey, list[int]] = {}
    instructions = file.instructions or {}
    for line, count in file.lines.items():
        if count or instructions.get(line):
            by_function.setdefault(owners.get(line, _MODULE), []).append(line)
    if by_function:
        yield ""
        yield f"fl=({number}) {file.path}"
    # A function has the same name in each profile of the file, whichever functions ran.
    keys = sorted({_MODULE, *owners.values()}, key=lambda key: (key[1], key[0]))
    for key, name in zip(keys, unique_names(keys), strict=True):
        if key in by_function:
            yield f"fn={_compressed(name, names)}"
        for line in by_function.get(key, ()):
            more = f" {instructions.get(line, 0)}" if with_instructions else ""
            yield f"{line} {file.lines[line]}{more}"


def _compressed(name: str, names: dict[str, int]) -> str:
    """Return the number of *name* in *names*, followed by the name itself when it is used first."""
    if name in names:
        return f"({names[name]})"
    names[name] = len(names) + 1
    return f"({names[name]}) {name}"
