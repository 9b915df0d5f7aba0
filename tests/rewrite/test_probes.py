"""All instructions that rewriting adds do their work, and leave the stack and the lines of the program unchanged."""

import dis
import functools
import itertools
import math
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rewrite.linking import FIRST_KEY, count_of, new_counter

from instrument.decode.call_sites import start_of_call
from instrument.decode.instructions import Instructions
from instrument.decode.opcodes import CACHES, CALL, CALL_KW, EXTENDED_ARG, OPCODES, OPNAMES, RESUME
from instrument.decode.versions import LASTI_IS_AN_INT
from instrument.guest.isolation import bytecode
from instrument.link.exit_records import RANGE_OF_COUNTS, ExitRecords
from instrument.rewrite import probes
from instrument.rewrite.probes import STACK_OF_PROBE
from instrument.rewrite.unlinked import UNITS_TO_KEYS, TracebackOf, WasInlined

ON_3_12 = pytest.mark.skipif(sys.version_info[:2] != (3, 12), reason="code asks only on 3.12 whether a call is inlined")
NOWHERE = bytecode.instr.InstrLocation(None, None, None, None)


def listed(units, location=NOWHERE):
    """Return an instruction of `bytecode` for each of the code *units*."""
    return [
        bytecode.ConcreteInstr(OPNAMES[op], *([arg] if op >= dis.HAVE_ARGUMENT else []), location=location)
        for op, arg in zip(units[::2], units[1::2])
    ]


def straight(a, b, c):
    d = (
        a * b - c,
        [a, {b: c}],
    )
    return d, str(b), d[0]


class Assembly:
    """A function without jumps, to which instructions, constants and names can be added."""

    def __init__(self, function):
        self.function = function
        self.code = function.__code__
        self.before = Instructions(self.code)
        assert max(self.before.targets, default=-1) == -1
        self.concrete = bytecode.ConcreteBytecode.from_code(self.code, extended_arg=True)
        self.units = list(self.concrete)
        self.constants = [*self.code.co_consts]
        self.handlers = []

    def constant(self, value):
        """Return the index of a new constant, *value*."""
        self.constants.append(value)
        return len(self.constants) - 1

    def name(self, name):
        """Return the index of *name*."""
        if name not in self.concrete.names:
            self.concrete.names = [*self.concrete.names, name]
        return self.concrete.names.index(name)

    def location(self, index):
        return self.units[self.before.units[index]].location

    def function_with(self, inserted, behind=b"", covered=None):
        """Return the function with *inserted*, code units by the instruction that they precede, and those *behind* all.

        *covered* is the index of an instruction whose exceptions go to the code units *behind*.
        """
        out, place = [], {}
        for index, start in enumerate(self.before.starts):
            out.extend(listed(inserted.get(index, b""), self.location(index)))
            place[index] = len(out)
            end = self.before.starts[index + 1] if index + 1 < len(self.before) else len(self.units)
            out.extend(self.units[start:end])
        if covered is not None:
            end = place.get(covered + 1, len(out))
            entry = bytecode.concrete.ExceptionTableEntry(place[covered], end - 1, len(out), 0, True)
            self.concrete.exception_table = [entry]
            out.extend(listed(behind))
        list.__setitem__(self.concrete, slice(None), out)
        stacksize = self.code.co_stacksize + STACK_OF_PROBE + 2
        code = self.concrete.to_code(stacksize=stacksize, compute_exception_stack_depths=False)
        twin = type(self.function)(code.replace(co_consts=tuple(self.constants)), self.function.__globals__)
        twin.__defaults__ = self.function.__defaults__
        return twin


def indices(function):
    """Return the instructions of *function* above which code can be added: all behind RESUME, parts of a call excepted."""
    instructions = Instructions(function.__code__)
    parts = instructions.ops.index(CALL) if CALL in instructions.ops else len(instructions)
    glued = range(start_of_call(instructions, parts) + 1, parts + 1) if CALL in instructions.ops else ()
    return [index for index in range(instructions.first + 1, len(instructions)) if index not in glued]


def outcome(function, *arguments):
    """Return the result of *function*, or its exception: type, text, line and number of traceback entries."""
    try:
        return function(*arguments)
    except Exception as error:
        place = error.__traceback__.tb_next
        n_entries = 0
        while place is not None:
            n_entries += 1
            line = place.tb_lineno
            place = place.tb_next
        return type(error), str(error), line, n_entries


def events_of(function, *arguments):
    """Return the events with which a trace function is called while *function* runs."""
    events = []

    def listen(frame, event, _argument):
        if frame.f_code is function.__code__:
            events.append((event, frame.f_lineno))
        return listen

    before = sys.gettrace()
    sys.settrace(listen)
    try:
        outcome(function, *arguments)
    finally:
        sys.settrace(before)
    return events


GOOD = (2, 3, 1)
ARGUMENTS = [GOOD, (2.5, True, 1j), ("ab", 2, "c"), (None, 1, 1), (1, {}, 1), ({1}, {2}, 3)]


# The probe ############################################################################################################


@pytest.mark.parametrize("index", indices(straight))
def test_a_probe_counts_one_and_leaves_the_stack_alone(index):
    """At any place, also between operands, the result is the same and the counter moves on by one."""
    assembly = Assembly(straight)
    counter = new_counter()
    twin = assembly.function_with({index: probes.probe(assembly.constant(counter))})
    for number in range(1, 21):
        assert twin(*GOOD) == straight(*GOOD)
        assert count_of(counter) == number


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=repr)
def test_probes_before_every_instruction_change_nothing(arguments):
    """The result, or the line of the exception and the number of its traceback entries, is the same."""
    assembly = Assembly(straight)
    counters = {index: new_counter() for index in indices(straight)}
    twin = assembly.function_with(
        {
            index: probes.probe(assembly.constant(counter))
            for index, counter in counters.items()
        }
    )
    assert outcome(twin, *arguments) == outcome(straight, *arguments)
    counted = [count_of(counter) for counter in counters.values()]
    assert counted == sorted(counted, reverse=True)
    assert counted[0] == 1
    assert set(counted) <= {0, 1}


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=repr)
def test_a_probe_raises_no_line_event(arguments):
    """A probe that has the location of the instruction below it raises no line event."""
    assembly = Assembly(straight)
    twin = assembly.function_with(
        {
            index: probes.probe(assembly.constant(new_counter()))
            for index in indices(straight)
        }
    )
    assert [event for event, _ in events_of(straight, *arguments)].count("line") > 0
    assert events_of(twin, *arguments) == events_of(straight, *arguments)


def test_probes_count_each_call_of_a_hot_function():
    """Ten thousand calls, of which most run specialised instructions, are ten thousand counts."""
    assembly = Assembly(straight)
    counters = {index: new_counter() for index in indices(straight)}
    twin = assembly.function_with(
        {
            index: probes.probe(assembly.constant(counter))
            for index, counter in counters.items()
        }
    )
    for _ in range(10_000):
        twin(*GOOD)
    assert {count_of(counter) for counter in counters.values()} == {10_000}


# Exits ################################################################################################################


def failing(act):
    return act()


def record(assembly, records, base=FIRST_KEY):
    """Return the instructions that record an exit in *records*, by its place plus *base*."""
    return probes.record_exit(
        *(assembly.constant(records), assembly.constant(base), assembly.constant(TracebackOf())),
        *(assembly.name("tb_lasti"), assembly.constant(RANGE_OF_COUNTS)),
    )


class Hidden(Exception):
    """An exception whose class redefines `__traceback__`."""

    @property
    def __traceback__(self):
        raise AssertionError("code of the program was run")


@pytest.mark.parametrize("kind", [KeyError, Hidden, KeyboardInterrupt, StopIteration])
def test_an_exit_is_recorded_by_its_place_and_continues(kind):
    """The counter of the raising instruction moves on by one; entries and lines of the traceback stay the same."""
    assembly = Assembly(failing)
    call = assembly.before.ops.index(CALL)
    records = ExitRecords("a session")
    twin = assembly.function_with({}, record(assembly, records) + probes.reraise(), covered=call)
    unit = assembly.before.units[call]
    place_of = BaseException.__dict__["__traceback__"].__get__
    for number in range(1, 4):
        error = kind()
        with pytest.raises(kind):
            twin(functools.partial(throw, error))
        assert {key: count_of(counter) for key, counter in records.items()} == {FIRST_KEY + unit * UNITS_TO_KEYS: number}
        places = []
        place = place_of(error)
        while place is not None:
            places.append((place.tb_frame.f_code.co_name, place.tb_lineno - place.tb_frame.f_code.co_firstlineno))
            place = place.tb_next
        assert [name for name, _ in places[1:]] == ["failing", "throw"]
        assert places[1][1] == 1
    assert twin(list) == []
    assert sum(map(count_of, records.values())) == 3


def throw(error):
    raise error


def test_recording_an_exit_leaves_the_stack_of_the_handler_unchanged():
    """Lasti and the exception are on the stack afterwards; with `drop_lasti`, the exception alone is."""
    for drops in (False, True):
        assembly = Assembly(failing)
        records = ExitRecords("a session")
        handler = record(assembly, records)
        if drops:
            handler += probes.drop_lasti()
        #                                                           stack: lasti exception, or the exception
        kept = assembly.constant("kept")
        handler += probes.instruction("LOAD_CONST", kept) + probes.instruction("SWAP", 2)
        handler += probes.instruction("BUILD_TUPLE", 2) + probes.instruction("RETURN_VALUE")
        twin = assembly.function_with({}, handler, covered=assembly.before.ops.index(CALL))
        error = KeyError("this one")
        answer = twin(functools.partial(throw, error))
        assert answer[0] == "kept"
        assert answer[1] is error


def test_the_traceback_is_read_even_if_the_class_redefines_its_name():
    """TracebackOf reads the slot of BaseException, and runs no code of the program."""
    error = Hidden()
    with pytest.raises(Hidden):
        throw(error)
    assert TracebackOf()[error].tb_next.tb_frame.f_code is throw.__code__
    assert TracebackOf()[KeyError()] is None
    assert hash(TracebackOf()) is not None


def test_keys_of_exits_count_code_units_up_to_3_13_and_bytes_later():
    """Lasti counts code units, and `tb_lasti`, which is used from 3.14 on, counts bytes."""
    assert LASTI_IS_AN_INT == (sys.version_info < (3, 14))
    assert UNITS_TO_KEYS == (1 if LASTI_IS_AN_INT else 2)


# Calls ################################################################################################################


@pytest.mark.parametrize("index", indices(straight))
def test_a_call_is_made_once_and_leaves_the_stack_alone(index):
    """The function is called without arguments, and its result is dropped."""
    assembly = Assembly(straight)
    calls = []
    function = lambda *arguments: calls.append(arguments) or "dropped"
    twin = assembly.function_with({index: probes.call(assembly.constant(function))})
    for number in range(1, 21):
        assert twin(*GOOD) == straight(*GOOD)
        assert calls == [()] * number
    for arguments in ARGUMENTS:
        assert outcome(twin, *arguments) == outcome(straight, *arguments)


def test_a_call_with_the_exception_leaves_it_on_the_stack():
    """The stub of a placement that calls passes the exception, and raises it again."""
    assembly = Assembly(failing)
    caught = []
    stub = probes.call(assembly.constant(caught.append), exception=True) + probes.reraise()
    twin = assembly.function_with({}, stub, covered=assembly.before.ops.index(CALL))
    error = KeyError("this one")
    with pytest.raises(KeyError) as raised:
        twin(functools.partial(throw, error))
    assert raised.value is error
    assert caught == [error]


def one(take, a):
    return take(a)


def two(take, a, b):
    return take(a, b)


def three(take, a, b, c):
    return 1, take(a, b, c)


def by_name(take, a, b, c):
    return take(a, globals=b, locals=c)


def as_method(take, a, b):
    return take.__call__(a, b)


EXEC_CALLS = [(one, 1, 0), (two, 2, 0), (two, 2, 2), (three, 3, 2), (three, 3, 3), (three, 3, 0), (by_name, 3, 2)]
EXEC_CALLS += [(by_name, 3, 3), (by_name, 3, 0), (as_method, 2, 2), (as_method, 2, 0)]


@pytest.mark.parametrize(("function", "n_arguments", "namespace"), EXEC_CALLS)
def test_the_first_argument_is_exchanged_before_the_call(function, n_arguments, namespace):
    """The exchange gets the callable, the first argument and the namespace; only the first argument is replaced."""
    assembly = Assembly(function)
    (call,) = [index for index, op in enumerate(assembly.before.ops) if op in (CALL, CALL_KW)]
    keys = []

    class Exchange:
        def __getitem__(self, key):
            keys.append(key)
            return "exchanged"

    def take(*arguments, **named):
        return arguments, named

    start = start_of_call(assembly.before, call)
    has_keywords = assembly.before.ops[call] == CALL_KW
    place = assembly.constant(Exchange())
    twin = assembly.function_with(
        {start: probes.exchange_exec_argument(n_arguments, namespace, has_keywords, place)}
    )
    arguments = ["a", "b", "c"][: n_arguments]
    expected = function(take, "exchanged", *arguments[1:])
    assert twin(take, *arguments) == expected
    ((executor, first, passed_namespace),) = keys
    assert first == "a"
    assert passed_namespace == (arguments[namespace - 1] if namespace else executor)
    if function is not as_method:
        assert executor is take


# Inlined calls ########################################################################################################


def python(*_):
    return "python"


class Thing:
    """A class whose attributes are callables of several kinds."""

    def method(self, *_):
        return "method"

    static = staticmethod(python)
    builtin = len
    one_class = classmethod(python)

    def __call__(self, *_):
        return "called"


class Child(Thing):
    pass


@pytest.mark.parametrize(
    ("callable_", "inlined"),
    [
        (python, True),
        (lambda *_: 1, True),
        (Thing().method, True),
        (Child().method, True),
        (Thing.one_class, True),
        (len, False),
        (str, False),
        ([].append, False),
        (functools.partial(python), False),
        (functools.lru_cache(python), False),
        (Thing, False),
        (Thing(), False),
        (math.sqrt, False),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_calls_of_python_functions_are_inlined_and_no_others(callable_, inlined):
    """A call of a Python function, plain or bound, is inlined; of any other callable it is not."""
    assert WasInlined(None)(callable_) is inlined


@pytest.mark.parametrize(
    ("thing", "name", "inlined"),
    [
        (Thing(), "method", True),
        (Child(), "method", True),
        ([], "append", False),
        ("", "join", False),
        (Thing().method, "one_class", True),  # not found as a method: the thing is the callable itself
        (python, "static", True),
        (len, "builtin", False),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_a_method_is_looked_up_in_the_classes_of_its_object(thing, name, inlined):
    """If the object stands in for its method, its classes tell which callable is called."""
    assert WasInlined(name)(thing) is inlined


@ON_3_12
@pytest.mark.parametrize("function", [one, two, three])
@pytest.mark.parametrize("take", [python, len, str, Thing().method, [].append, print], ids=lambda thing: type(thing).__name__)
def test_a_return_is_counted_if_the_call_was_inlined(function, take):
    """The answer stays below the operands of the call; the counter moves on only if it is True."""
    assembly = Assembly(function)
    call = assembly.before.ops.index(CALL)
    counter = new_counter()
    check = probes.check_if_inlined(assembly.before.args[call], assembly.constant(WasInlined(None)))
    count = b"".join(probes.count_if_inlined(probes.probe(assembly.constant(counter))))
    twin = assembly.function_with({start_of_call(assembly.before, call): check, call + 1: count})
    arguments = [["a"], "b", "c"][: len(assembly.code.co_varnames) - 1]
    for number in range(1, 20):
        assert outcome(twin, take, *arguments) == outcome(function, take, *arguments)
        failed = type(outcome(function, take, *arguments)) is tuple and function is not three
        assert count_of(counter) == (number if WasInlined(None)(take) and not failed else 0)


# Small things #########################################################################################################


@pytest.mark.parametrize("index", indices(straight))
def test_a_nop_does_nothing(index):
    """At any place it leaves the result unchanged."""
    assembly = Assembly(straight)
    twin = assembly.function_with({index: probes.nop()})
    for arguments in ARGUMENTS:
        assert outcome(twin, *arguments) == outcome(straight, *arguments)


@pytest.mark.parametrize("argument", range(16))
def test_a_resume_keeps_the_bits_for_its_place(argument):
    """The two low bits of its argument are the same, and no bit is set that was not."""
    cleared = probes.argument_of_resume(argument)
    assert cleared & 3 == argument & 3
    assert cleared & ~argument == 0
    assert probes.argument_of_resume(cleared) == cleared
    assert probes.resume(argument)[:2] == bytes((RESUME, cleared))


def depths(units):
    """Return the depth of the stack behind each instruction in the code *units*, if no jump is taken."""
    effects = [
        dis.stack_effect(found.opcode, found.arg if found.opcode >= dis.HAVE_ARGUMENT else None, jump=False)
        for found in listed(units)
        if found.name != "CACHE"
    ]
    return list(itertools.accumulate(effects))


SHAPES = {
    "probe": (probes.probe(0), 0),
    "record_exit": (probes.record_exit(0, 1, 2, 0, 3), 0),
    "record_exit_late": (probes.record_exit_late(0, 1, 2, 0), 0),
    "call": (probes.call(0), 0),
    "call with the exception": (probes.call(0, exception=True), 0),
    "exchange of an argument": (probes.exchange_exec_argument(3, 2, False, 0), 0),
    "exchange of an argument before keywords": (probes.exchange_exec_argument(3, 2, True, 0), 0),
    "exchange of all arguments": (probes.exchange_exec_arguments(False, 0), 0),
    "exchange of all arguments before keywords": (probes.exchange_exec_arguments(True, 0), 0),
    "drop_lasti": (probes.drop_lasti(), -1),
    "pop": (probes.pop(), -1),
    "nop": (probes.nop(), 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_added_code_needs_more_stack_than_there_is(shape):
    """By the interpreter's own figures, the stack stays within STACK_OF_PROBE and ends at its expected depth."""
    code, effect = SHAPES[shape]
    reached = depths(code)
    assert max(reached) <= STACK_OF_PROBE
    assert reached[-1] == effect


@pytest.mark.parametrize("name", ["LOAD_ATTR", "CALL", "FOR_ITER", "LOAD_CONST", "POP_TOP"])
def test_an_instruction_is_encoded_with_its_caches(name):
    """One CACHE follows for each cache unit that the interpreter expects."""
    assert [found.name for found in listed(probes.instruction(name))] == [name] + ["CACHE"] * CACHES[OPCODES[name]]


@given(op=st.sampled_from(sorted(op for op in OPCODES.values() if op < 256)), argument=st.integers(0, 2**32 - 1), more=st.integers(0, 3))
def test_an_argument_of_any_size_is_encoded(op, argument, more):
    """Decoded again, prefixes and argument are the same number; there are at least as many prefixes as asked for."""
    assume(op not in (EXTENDED_ARG, OPCODES["CACHE"]))
    units = probes.encode(op, argument, more)
    read = n_prefixes = 0
    while units[2 * n_prefixes] == EXTENDED_ARG:
        read = (read | units[2 * n_prefixes + 1]) << 8
        n_prefixes += 1
    assert units[2 * n_prefixes] == op
    assert read | units[2 * n_prefixes + 1] == argument
    assert units[2 * n_prefixes + 2 :] == bytes(2 * CACHES[op])
    assert n_prefixes == max(more, (max(argument, 1).bit_length() - 1) // 8)
