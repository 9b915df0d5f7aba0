"""Link unlinked code: give it its counters, so that it becomes live code, and recognise live code.

`UnlinkedValues` and counters come in; live code objects go out. The order of the constants that linking appends is that
of `rewrite.unlinked`. Code of whole modules takes a faster way (fast_linking).
"""

from __future__ import annotations

from types import CodeType

from instrument.link.code_group import first_key_of
from instrument.link.exit_records import RANGE_OF_COUNTS, ExitRecords
from instrument.link.unlinked_values import RefusedCode
from instrument.rewrite.unlinked import (
    EXIT_RECORDS,
    FIRST_KEY,
    TracebackOf,
    WasInlined,
    in_order,
    shared_constants,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from instrument.link.code_group import CodeGroup
    from instrument.link.unlinked_values import UnlinkedValues

traceback_of = TracebackOf()


def link(
    unlinked_codes: Sequence[UnlinkedValues | RefusedCode],
    group: CodeGroup,
    probes: Sequence[object],
    exits: Sequence[object] | None,
    exchange_code: object,
    records: ExitRecords,
) -> list[CodeType]:
    """Return the live code of *unlinked_codes*, which become *group*; refused code stays as it is.

    *probes* are the counters of all probes, or functions to call. *exits* are the functions to call for the exit
    records; None if exits are counted in *records*. *exchange_code* exchanges code that is passed to an executor.
    """
    codes: list[CodeType] = []
    first_probe = first_exit = 0
    key = first_key_of(group.number)
    shared = shared_constants(traceback_of, records.late, RANGE_OF_COUNTS, exchange_code)
    for unlinked in unlinked_codes:
        if isinstance(unlinked, RefusedCode):
            codes.append(unlinked.code)
            continue
        constants: Sequence[object] = unlinked.constants
        if unlinked.nested:
            constants = list(constants)
            for place, index in unlinked.nested:
                constants[place] = codes[index]
        n_probes, n_exits, size = unlinked.n_probes, unlinked.n_exits, unlinked.size
        n_keys = n_exits * size
        codes.append(
            CodeType(  # type: ignore[call-arg]
                *unlinked.first_arguments,
                in_order(
                    constants,
                    probes[first_probe : first_probe + n_probes],
                    range(key, key + n_keys, size) if exits is None else exits[first_exit : first_exit + n_exits],
                    shared,
                    map(WasInlined, unlinked.inlinable),
                    records,
                    key,
                ),
                unlinked.names,
                unlinked.variables,
                group.file_name if unlinked.file_name is None else unlinked.file_name,
                *unlinked.last_arguments,
            )
        )
        first_probe += n_probes
        first_exit += n_exits
        key += n_keys or size
    return codes


def appended_constants(code: CodeType) -> tuple[ExitRecords, int] | None:
    """Return the exit records and the first key of *code* if it is live, else None."""
    constants = code.co_consts
    if len(constants) > 3 and type(constants[EXIT_RECORDS]) is ExitRecords:
        records = constants[EXIT_RECORDS]
        if records.session is not None:
            return records, constants[FIRST_KEY]
    return None
