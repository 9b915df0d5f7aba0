"""Decodes pickles of counts without running any other command of a pickle.

The bytes of a pickle come in (`decode`); dictionaries, short tuples, texts, numbers, booleans and None go out.

Problem: a pickle is a program for a stack machine. So `pickle.load` runs any command in a counts file.
Solution: an interpreter of the instructions that counts need. It has no instruction that names, imports or calls
anything. Its values are as shallow and as short as those of counts, so later use of them is harmless, too.
Alternatives: `Unpickler.find_class` can forbid names. But a key of 200 kB of nested tuples kills the process.
The C unpickler of 3.11 to 3.13 overflows its stack while it hashes such a key.
"""

from __future__ import annotations

import pickle

from instrument.errors import CountsFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The greatest length of a tuple in a counts file. It bounds the time to hash a key, as the nesting bounds the stack.
LONGEST_TUPLE = 3

# Bounds of the values in counts. Values nest three deep: the tuple of all, a dictionary, a key of two functions.
# `pickle` writes items in batches of a thousand, and takes at least LEAST_BYTES for each value in the memo.
DEEPEST = 16
LONGEST_STACK = 1 << 14
LEAST_BYTES = 3
MOST_DICTS = 16

# Bits of a count or a line number, with its sign. Python refuses to print integers of thousands of digits.
WORD = 64

CONTAINERS = frozenset({dict, tuple})


# Instructions that name, import, create or call something. They are refused with a message of their own.
CALLS = b"".join(
    (
        *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.INST, pickle.OBJ, pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX),
        *(pickle.BUILD, pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),
    )
)


class _Machine:
    """Runs the instructions of a pickle of counts, on a stack of values.

    `position` is the offset of the next byte. `stack` has the values since the last open MARK, and `below` the stacks
    before each open MARK. `memo` has values that later instructions push again.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.stack: list[Any] = []
        self.n_dicts = 0
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Run all instructions, and return the top of the stack at the last, STOP; raise CountsFileError."""
        data, stop = self.data, pickle.STOP[0]
        while self.position < len(data):
            instruction = data[self.position]
            if instruction == stop:
                return self.stack.pop()
            if instruction not in INSTRUCTIONS:
                self.refuse(instruction)
            action, width = INSTRUCTIONS[instruction]
            begin = self.position + 1
            self.position = begin + width
            action(self, int.from_bytes(data[begin : self.position], "little"))
            # An instruction of one byte can create a value of a hundred, so the number of values is bounded.
            if len(self.stack) > LONGEST_STACK or len(self.memo) * LEAST_BYTES > self.position + LONGEST_STACK:
                raise CountsFileError("it makes more values than the counts of a file of its size")
        raise CountsFileError(f"it ends too early, after {len(data)} bytes")

    def refuse(self, instruction: int) -> None:
        """Raise CountsFileError for an *instruction* that counts do not need."""
        if instruction in CALLS:
            raise CountsFileError(f"it asks for something to be called (at byte {self.position}); that was not done")
        raise CountsFileError(f"it is no counts file (byte {self.position} is {bytes([instruction])!r})")

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

    # Plain values in protocol 0, each on a line of text

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
        """Push a tuple of *parts*, which are plain values, tuples of plain values, or dictionaries."""
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
        """Put *items*, alternating keys and values, into the dictionary on top of the stack."""
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise CountsFileError("it is damaged, or no counts file (a key without a value, or without a dictionary)")
        keys, values = items[::2], items[1::2]
        if not CONTAINERS.isdisjoint(map(type, values)):
            raise CountsFileError("it maps a key to something other than a count")
        target.update(zip(keys, values, strict=True))

    # Parts of the data and of the stack

    def take(self, length: int) -> bytes:
        """Return the next *length* bytes of the data, or fewer at its end, which `run` then notices."""
        begin = self.position
        self.position += length
        return self.data[begin : self.position]

    def take_line(self) -> bytes:
        """Return the data up to the next newline, and move behind that."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise CountsFileError(f"it ends too early, after {len(self.data)} bytes")
        return self.take(end + 1 - self.position)[:-1]

    def last(self, length: int) -> list[Any]:
        """Remove the topmost *length* values from the stack, and return them."""
        if length > len(self.stack):
            raise CountsFileError("it is damaged, or no counts file (values are missing)")
        taken = self.stack[-length:]
        del self.stack[-length:]
        return taken

    def since_mark(self) -> list[Any]:
        """Remove the values since the last MARK from the stack, return them, and close the MARK."""
        taken, self.stack = self.stack, self.below.pop()
        return taken


# All instructions that counts need, each with the number of bytes of its argument. They include those of protocols 0
# to 5, because other programs may have pickled the counts again.
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
    """Return the value of the pickle *data*, without imports and calls; raise CountsFileError if it is no counts."""
    try:
        return _Machine(data).run()
    except CountsFileError:
        raise
    except (ValueError, LookupError, TypeError) as error:
        # An invalid text or number, a value that was never stored, an empty stack, or a key that cannot be hashed.
        raise CountsFileError(f"it is damaged, or no counts file ({type(error).__name__}: {error})") from None
