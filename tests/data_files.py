"""Helpers for tests of data files: merge files, and change a file as a forger would."""

import os
import sqlite3
from pathlib import Path

import pytest
from processes import A, B, counts, write

from instrument.data import schema
from instrument.data.merge import Merge
from instrument.data.process_identity import ProcessInfo
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer


def add(paths, output=None):
    """Merge *paths*; return the counts of lines in the sum, and the refused files with their reasons."""
    with Scratch() as scratch, Merge(str(output or os.path.join(scratch, "sum")), scratch) as merge:
        merge.add_all([str(path) for path in paths])
        return counts(merge.path), [reason for _path, reason in merge.refused]


@pytest.fixture
def good(tmp_path):
    """The path of a valid data file."""
    return Path(
        write(
            *(tmp_path / "good", "one", {A: {1: 5}, B: {2: 1}}),
            functions=[(A, {("f", 1): (1, 1.0, 1.0)})],
            given_out=[(A, "f", 1, "cloudpickle")],
        ).path
    )


def sql(path, *statements):
    """Execute *statements* in the database at *path*, as a forger would."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = ON")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def in_format(version, path):
    """Turn the data file at *path* into one of an earlier *version* of the format: drop newer tables and columns."""
    tables = schema.tables(version)
    statements = [f"PRAGMA user_version = {version}"]
    statements += [f"DROP TABLE {name}" for name in schema.TABLES.keys() - tables.keys()]
    for name, statement in tables.items():
        if statement != schema.TABLES[name]:
            columns = ", ".join(_columns_of(name, statement))
            statements += [f"ALTER TABLE {name} RENAME TO newer", statement]
            statements += [f"INSERT INTO {name} SELECT {columns} FROM newer", "DROP TABLE newer"]
    sql(path, *statements)


def _columns_of(name, statement):
    """Return the names of the columns of the table *name* that *statement* creates."""
    connection = sqlite3.connect(":memory:")
    connection.execute(statement)
    columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")]
    connection.close()
    return columns


@pytest.fixture
def writer(tmp_path):
    """A writer to a folder that does not exist yet."""
    return Writer(str(tmp_path / "new" / "data"), ProcessInfo.current())

