"""Counts files: what several runs counted, kept in one file that the standard library's `trace` reads and writes, too.

A path comes in, three dictionaries come out; or the other way round. The format is `trace`'s own, a pickle (protocol 1)
of (counts, calledfuncs, callers), yet nothing here unpickles. A pickle is a program for a small machine, and whoever
writes the file writes the program: `pickle.load` runs any command that it holds. Forbidding names, as
`Unpickler.find_class` can, is not enough: 200 kB of tuples nested in each other and used as a key make the C unpickler
of 3.11, 3.12 and 3.13 overflow its stack while hashing, and kill the process. So `decode` is a machine that knows only
the instructions that counts need: it makes dictionaries, short tuples, strings, integers, booleans and None, and has no
way to name, import or call anything.

A file is written complete or not at all: `store` fills a new file in the same folder and renames it over the old one.
"""

from __future__ import annotations

import os
import pickle
import stat

from instrument.errors import CountsFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Path: TypeAlias = str | os.PathLike[str]
    Function: TypeAlias = tuple[str, str | None, str]  # file name, module name, function name
    LineCounts: TypeAlias = dict[tuple[str, int], int]
    CalledFunctions: TypeAlias = dict[Function, int]
    Callers: TypeAlias = dict[tuple[Function, Function], int]

# The protocol of every counts file that `trace` ever wrote. Others are read, none is written.
PROTOCOL = 1

# A count takes some fifteen bytes, so this holds the lines of a very large program. What is larger, /dev/zero above
# all, is refused before it fills the memory.
LARGEST_FILE = 1 << 28

# No tuple of a counts file has more parts. The bound keeps the hash of a hostile key cheap, as that on nesting keeps it
# safe.
LONGEST_TUPLE = 3

# Counts nest three deep: the tuple of all, a dictionary, a key of two functions, which are tuples. Items come a
# thousand at a time, and each value that is remembered takes some bytes to spell, of which this is the least.
DEEPEST = 16
LONGEST_STACK = 1 << 14
LEAST_BYTES = 3
MOST_DICTS = 16

# A count, like a line number, fits a machine word, with its sign. Python refuses to print integers of thousands of
# digits.
WORD = 64

CONTAINERS = frozenset({dict, tuple})


# Instructions that name, import, make or call something. They are unknown here, and worth a clearer message.
CALLS = b"".join(
    (
        *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.INST, pickle.OBJ, pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX),
        *(pickle.BUILD, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),
    )
)


class _Machine:
    """The machine that runs a pickle of counts, and no other: data in, one value out.

    It has a stack; what was on it at each MARK that is still open; and a memo of values to use again. What it makes is
    as shallow and as short as counts are, so whatever is done with it later is harmless, too.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.n_dicts = 0
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Run all instructions; return what lies on top of the stack at the last of them, STOP."""
        data, stop = self.data, pickle.STOP[0]
        while self.at < len(data):
            instruction = data[self.at]
            if instruction == stop:
                return self.stack.pop()
            if instruction not in INSTRUCTIONS:
                self.refuse(instruction)
            action, width = INSTRUCTIONS[instruction]
            begin = self.at + 1
            self.at = begin + width
            action(self, int.from_bytes(data[begin : self.at], "little"))
            # Instructions of a byte or two can each make something that takes a hundred: what is made stays as small
            # as that of a counts file.
            if len(self.stack) > LONGEST_STACK or len(self.memo) * LEAST_BYTES > self.at + LONGEST_STACK:
                raise CountsFileError("it makes more values than the counts of a file of its size")
        raise CountsFileError(f"it ends too early, after {len(data)} bytes")

    def refuse(self, instruction: int) -> None:
        """Raise what is to be said of an *instruction* that no counts need."""
        if instruction in CALLS:
            raise CountsFileError(f"it asks for something to be called (at byte {self.at}); that was not done")
        raise CountsFileError(f"it is no counts file (byte {self.at} is {bytes([instruction])!r})")

    # Plain values

    def push(self, number: int) -> None:
        self.stack.append(number)

    def push_signed(self, number: int) -> None:
        self.stack.append(number - (1 << 32) if number >> 31 else number)

    def push_none(self, _: int) -> None:
        self.stack.append(None)

    def push_false(self, _: int) -> None:
        self.stack.append(False)

    def push_true(self, _: int) -> None:
        self.stack.append(True)

    def push_text(self, length: int) -> None:
        self.stack.append(str(self.take(length), "utf-8", "surrogatepass"))

    def push_long(self, length: int) -> None:
        self.push_word(int.from_bytes(self.take(length), "little", signed=True))

    def push_word(self, number: int) -> None:
        if number.bit_length() >= WORD:
            raise CountsFileError("it holds a number larger than any count")
        self.stack.append(number)

    # Plain values as protocol 0 writes them: on a line of text

    def push_line(self, _: int) -> None:
        self.stack.append(str(self.take_line(), "raw-unicode-escape"))

    def push_decimal(self, _: int) -> None:
        line = self.take_line()
        if line in (b"00", b"01"):
            self.stack.append(line == b"01")  # False and True
        else:
            self.push_word(int(line.removesuffix(b"L")))

    # The memo

    def get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    def put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    def put_next(self, _: int) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get_decimal(self, _: int) -> None:
        self.get(int(self.take_line()))

    def put_decimal(self, _: int) -> None:
        self.put(int(self.take_line()))

    # Tuples and dictionaries

    def mark(self, _: int) -> None:
        if len(self.below) >= DEEPEST:
            raise CountsFileError(f"it opens more than {DEEPEST} marks, which no counts do")
        self.below.append(self.stack)
        self.stack = []

    def push_tuple(self, _: int) -> None:
        self.pack(self.since_mark())

    def push_tuple_1(self, _: int) -> None:
        self.pack(self.last(1))

    def push_tuple_2(self, _: int) -> None:
        self.pack(self.last(2))

    def push_tuple_3(self, _: int) -> None:
        self.pack(self.last(3))

    def pack(self, parts: list[Any]) -> None:
        """Push a tuple of *parts*: of plain values, of tuples of these, or of dictionaries."""
        if len(parts) > LONGEST_TUPLE:
            raise CountsFileError(f"it holds a tuple of {len(parts)} parts, which no counts have")
        for part in parts:
            if type(part) is tuple and any(type(inner) in CONTAINERS for inner in part):
                raise CountsFileError("it nests tuples more deeply than counts do")
        self.stack.append(tuple(parts))

    def push_empty_tuple(self, _: int) -> None:
        self.stack.append(())

    def push_empty_dict(self, _: int) -> None:
        self.n_dicts += 1
        if self.n_dicts > MOST_DICTS:
            raise CountsFileError(f"it holds more than {MOST_DICTS} dictionaries")
        self.stack.append({})

    def push_dict(self, _: int) -> None:
        items = self.since_mark()
        self.push_empty_dict(0)
        self.fill(items)

    def set_item(self, _: int) -> None:
        self.fill(self.last(2))

    def set_items(self, _: int) -> None:
        self.fill(self.since_mark())

    def fill(self, items: list[Any]) -> None:
        """Put *items*, keys and values by turns, into the dictionary on top of the stack."""
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise CountsFileError("it is damaged, or no counts file (a key without a value, or without a dictionary)")
        keys, values = items[::2], items[1::2]
        if not CONTAINERS.isdisjoint(map(type, values)):
            raise CountsFileError("it maps a key to something other than a count")
        target.update(zip(keys, values, strict=True))

    # Parts of the data and of the stack

    def take(self, length: int) -> bytes:
        """Return the next *length* bytes of the data. If there are fewer, `run` sees it next."""
        begin = self.at
        self.at += length
        return self.data[begin : self.at]

    def take_line(self) -> bytes:
        """Return the data up to the next newline."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise CountsFileError(f"it ends too early, after {len(self.data)} bytes")
        return self.take(end + 1 - self.at)[:-1]

    def last(self, length: int) -> list[Any]:
        """Take the topmost *length* values from the stack."""
        if length > len(self.stack):
            raise CountsFileError("it is damaged, or no counts file (values are missing)")
        taken = self.stack[-length:]
        del self.stack[-length:]
        return taken

    def since_mark(self) -> list[Any]:
        """Take what was put on the stack since the last MARK, and close it."""
        taken, self.stack = self.stack, self.below.pop()
        return taken


# Every instruction that counts need: what it does, and how many bytes of argument follow it. Those of protocols 0 to 5
# are here, for the sake of files that were pickled anew by other programs.
INSTRUCTIONS = {
    instruction[0]: (action, width)
    for instruction, action, width in (
        (pickle.PROTO, lambda machine, version: None, 1),
        (pickle.FRAME, lambda machine, length: None, 8),
        (pickle.NONE, _Machine.push_none, 0),
        (pickle.NEWFALSE, _Machine.push_false, 0),
        (pickle.NEWTRUE, _Machine.push_true, 0),
        (pickle.BININT1, _Machine.push, 1),
        (pickle.BININT2, _Machine.push, 2),
        (pickle.BININT, _Machine.push_signed, 4),
        (pickle.LONG1, _Machine.push_long, 1),
        (pickle.LONG4, _Machine.push_long, 4),
        (pickle.SHORT_BINUNICODE, _Machine.push_text, 1),
        (pickle.BINUNICODE, _Machine.push_text, 4),
        (pickle.BINUNICODE8, _Machine.push_text, 8),
        (pickle.INT, _Machine.push_decimal, 0),
        (pickle.LONG, _Machine.push_decimal, 0),
        (pickle.UNICODE, _Machine.push_line, 0),
        (pickle.BINGET, _Machine.get, 1),
        (pickle.LONG_BINGET, _Machine.get, 4),
        (pickle.GET, _Machine.get_decimal, 0),
        (pickle.BINPUT, _Machine.put, 1),
        (pickle.LONG_BINPUT, _Machine.put, 4),
        (pickle.PUT, _Machine.put_decimal, 0),
        (pickle.MEMOIZE, _Machine.put_next, 0),
        (pickle.MARK, _Machine.mark, 0),
        (pickle.EMPTY_TUPLE, _Machine.push_empty_tuple, 0),
        (pickle.TUPLE1, _Machine.push_tuple_1, 0),
        (pickle.TUPLE2, _Machine.push_tuple_2, 0),
        (pickle.TUPLE3, _Machine.push_tuple_3, 0),
        (pickle.TUPLE, _Machine.push_tuple, 0),
        (pickle.EMPTY_DICT, _Machine.push_empty_dict, 0),
        (pickle.DICT, _Machine.push_dict, 0),
        (pickle.SETITEM, _Machine.set_item, 0),
        (pickle.SETITEMS, _Machine.set_items, 0),
    )
}


def decode(data: bytes) -> Any:
    """Return the value that the pickle *data* spells, or raise CountsFileError; nothing is imported, nothing called."""
    try:
        return _Machine(data).run()
    except CountsFileError:
        raise
    except (ValueError, LookupError, TypeError) as error:
        # Not text, not a number, never stored, nothing on the stack, no possible key: the bytes are no pickle of
        # counts.
        raise CountsFileError(f"it is damaged, or no counts file ({type(error).__name__}: {error})") from None


def load(path: Path) -> tuple[LineCounts, CalledFunctions, Callers]:
    """Return the counts, called functions and callers in the file at *path*.

    Raise OSError if it cannot be read, EOFError if it is empty, and CountsFileError if it holds anything but counts.
    The last two say what is wrong; which file it is, the caller knows.
    """
    # A pipe that nobody writes to would be waited for. Devices, of which /dev/null and terminals are some, are read.
    if stat.S_ISFIFO(os.stat(path).st_mode) and not _is_descriptor(path):
        raise CountsFileError("it is a pipe, which would be waited for; name a regular file")
    with open(path, "rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if not data:
        raise EOFError("Ran out of input")
    if len(data) > LARGEST_FILE:
        raise CountsFileError(f"it is larger than {LARGEST_FILE} bytes, so no counts file")
    value = decode(data)
    if type(value) is not tuple or [type(part) for part in value] != [dict, dict, dict]:
        raise CountsFileError("it does not hold the three dictionaries of a counts file")
    counts, calledfuncs, callers = value
    for key, count in counts.items():
        if not (type(key) is tuple and len(key) == 2 and type(key[0]) is str and isinstance(count, int)):
            raise CountsFileError(f"it counts {key!r}, which is no line of a file")
    return counts, calledfuncs, callers


def _is_descriptor(path: Path) -> bool:
    """Return whether *path* names a file that this process was given to read, as /dev/stdin or by a shell's `<(…)`."""
    name = os.fsdecode(path)
    return name == "/dev/stdin" or name.startswith(("/dev/fd/", "/proc/self/fd/"))


def store(path: Path, counts: LineCounts, calledfuncs: CalledFunctions, callers: Callers) -> None:
    """Write the three dictionaries to the file at *path*, or raise OSError and leave it as it was."""
    data = pickle.dumps((counts, calledfuncs, callers), PROTOCOL)
    old = None
    try:
        old = os.stat(path)
    except FileNotFoundError:
        pass
    if old is not None:
        if stat.S_ISREG(old.st_mode):
            # A file that may not be written stays as it is, even where its folder would let us replace it.
            os.close(os.open(path, os.O_WRONLY))
        else:
            # A pipe or a device is written to, never replaced. (A folder refuses, and says that it is one.)
            _write_in_place(path, data)
            return
    # Symbolic links are followed: the link stays, and goes on pointing to the file.
    if not _replace(os.path.realpath(path), data, old):
        # The folder takes no new file, or the file is a mount of its own. `trace` could write here, and so can we.
        _write_in_place(path, data)


def _write_in_place(path: Path, data: bytes) -> None:
    """Write *data* over what *path* holds."""
    with open(path, "wb") as file:
        file.write(data)


def _replace(target: str, data: bytes, old: os.stat_result | None) -> bool:
    """Put a new file that holds *data* where *target* is; return whether the folder allows that.

    Complete or absent: until the one rename below *target* is untouched, from then on it is the whole new file.
    """
    try:
        descriptor, temporary = _create_beside(target)
    except (PermissionError, FileNotFoundError):
        return False
    renamed = False
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if old is not None:
            _keep_owner_and_mode(temporary, old)
        try:
            os.replace(temporary, target)
            renamed = True
        except OSError:
            pass
    finally:
        # After a full disk or an interrupt nothing of ours stays behind.
        if not renamed:
            os.unlink(temporary)
    return renamed


def _create_beside(target: str) -> tuple[int, str]:
    """Create an empty file in the folder of *target*; return its descriptor and its name, which is new."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    attempt = 0
    while True:
        # Not made from the name of the target, which may be as long as names can be.
        name = os.path.join(os.path.dirname(target), f".instrument-{os.getpid()}-{attempt}.tmp")
        try:
            return os.open(name, flags, 0o666), name
        except FileExistsError:
            attempt += 1


def _keep_owner_and_mode(path: str, old: os.stat_result) -> None:
    """Give the file at *path* the mode of the one it is to replace, and its owner and group where that is allowed."""
    new = os.stat(path)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid) and hasattr(os, "chown"):
        try:
            os.chown(path, old.st_uid, old.st_gid)
        except PermissionError:
            pass
    os.chmod(path, stat.S_IMODE(old.st_mode))
