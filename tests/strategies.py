"""Random whole programs: nested control flow, each construct in several layouts, and decisions that steer it.

A source of choices comes in (Hypothesis, or `random.Random` for speed), a Program goes out. The writer produces text
and no syntax tree, because line events depend on the places of line breaks. The choice 0 is always the simplest, so that
Hypothesis shrinks towards `note(0)`.

A program ends: its loops call `more()` or `items()`, both of which return nothing more after FUEL decisions, and a
function calls only functions that were defined before it. A program repeats itself: its outcome depends on its decisions
alone. The helpers that it calls are in a namespace without `__file__`, so neither tool counts them.
"""

import contextlib
import dataclasses
import gc
import os
import random
import sys
import sysconfig
import warnings

from hypothesis import strategies as st

#: The file that programs claim to come from; it need not exist.
FILE_NAME = os.sep + os.path.join("generated", "program.py")

#: How many decisions a run may take before every further one is 0.
FUEL = 300

#: The number of decisions of a program; a run repeats them.
N_DECISIONS = 24


@dataclasses.dataclass(frozen=True)
class Program:
    """The text of a program and the decisions that its `decide()` returns one after another."""

    source: str
    decisions: tuple

    def __str__(self):
        numbered = (f"{number:3}  {line}" for number, line in enumerate(self.source.splitlines(), start=1))
        return "\n".join([*numbered, f"decisions = {list(self.decisions)}"])


@st.composite
def programs(draw, size=60):
    """Draw Programs of up to about *size* statements."""

    def choose(n):
        return draw(st.integers(0, n - 1))

    source = ProgramWriter(choose, choose(size) + 1).program()
    return Program(source, tuple(draw(st.lists(st.integers(0, 59), min_size=1, max_size=N_DECISIONS))))


def random_program(seed, size=60):
    """Return the Program for *seed*, of up to about *size* statements, without Hypothesis."""
    generator = random.Random(seed)
    choose = generator.randrange
    source = ProgramWriter(choose, choose(size) + 1).program()
    return Program(source, tuple(choose(60) for _ in range(N_DECISIONS)))


# -- running one -----------------------------------------------------------------------------------------------------

HELPERS = '''
class OutOfFuel(BaseException):
    """Ends a program that has run far too long, which is a mistake in ProgramWriter."""

class Halt(BaseException):
    """An exception that `except Exception` lets pass."""

KINDS = ValueError, KeyError, TypeError, StopIteration, Halt
log = []
kept = []
taken = 0

def decide(n=2):
    global taken
    taken += 1
    if taken > FUEL:
        if taken > 100 * FUEL:
            raise OutOfFuel
        return 0
    return DECISIONS[taken % len(DECISIONS)] % n

def more():
    return decide(3) > 0

def items():
    return list(range(decide(4)))

def note(*values, **named):
    log.append(tuple(value.__name__ if callable(value) else value for value in values))
    return values[0] if values else 0

def fail(value=0):
    kind = decide(12)
    if kind < 6:
        return value
    if kind == 11:
        raise ExceptionGroup("several", [ValueError(value), ExceptionGroup("inner", [KeyError(value)])])
    raise KINDS[kind - 6](value)

def kind():
    return KINDS[decide(len(KINDS))]

def shape(value):
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, (list, tuple, set, dict)):
        return type(value).__name__, len(value)
    return type(value).__name__

def lines(error):
    place = error.__traceback__
    found = []
    while place is not None:
        if place.tb_frame.f_code.co_filename == FILE_NAME:
            found.append(place.tb_lineno)
        place = place.tb_next
    return found

def describe(error):
    context = error.__context__
    return type(error).__name__, lines(error), context and type(context).__name__

def attempt(act, *arguments):
    """Log the result or the exception of *act*; return whether it ended normally."""
    try:
        log.append(("gave", shape(act(*arguments))))
        return True
    except BaseException as error:
        log.append(describe(error))
        return False

def call(function, *arguments):
    """Call a plain function and log its result or exception."""
    attempt(function, *arguments)

def walk(generator):
    """Resume a generator in all possible ways, until it ends or is abandoned."""
    for step in range(8):
        way = decide(7)
        if way < 3:
            going = attempt(next, generator)
        elif way == 3:
            going = attempt(generator.send, step if step else None)
        elif way == 4:
            going = attempt(generator.throw, KINDS[step % 3](step))
        elif way == 5:
            going = attempt(generator.close)
        else:
            kept.append(generator)
            return
        if not going and decide(4):
            return

def spin(coroutine):
    """Run a coroutine by hand, and sometimes throw into it, close it or abandon it."""
    for step in range(12):
        way = decide(12)
        if way < 9:
            going = attempt(coroutine.send, None)
        elif way == 9:
            going = attempt(coroutine.throw, KINDS[step % 3](step))
        elif way == 10:
            going = attempt(coroutine.close)
        else:
            kept.append(coroutine)
            return
        if not going:
            return

def tour(generator):
    """Resume an asynchronous generator in all possible ways."""
    for step in range(6):
        way = decide(6)
        if way < 3:
            spin(generator.__anext__())
        elif way == 3:
            spin(generator.asend(step if step else None))
        elif way == 4:
            spin(generator.athrow(KINDS[step % 3](step)))
        else:
            spin(generator.aclose())

class Pause:
    def __init__(self, value):
        self.value = value
    def __await__(self):
        if decide():
            yield self.value
        if not decide(7):
            raise KINDS[self.value % 3](self.value)
        return self.value

def pause(value=0):
    return Pause(value)

class Guard:
    def __init__(self, value=0):
        self.value = value
    def __enter__(self):
        if decide(9) == 8:
            raise ValueError(self.value)
        return self.value
    def __exit__(self, kind, error, place):
        if decide(9) == 8:
            raise KeyError(self.value)
        return decide(3) == 2

class AsyncGuard(Guard):
    async def __aenter__(self):
        await pause(self.value)
        return self.__enter__()
    async def __aexit__(self, kind, error, place):
        await pause(self.value)
        return self.__exit__(kind, error, place)

class Ticks:
    def __init__(self):
        self.remaining = decide(4)
    def __aiter__(self):
        return self
    async def __anext__(self):
        await pause()
        if not self.remaining:
            raise StopAsyncIteration
        self.remaining -= 1
        return self.remaining

class Point:
    __match_args__ = "x", "y"
    def __init__(self, x, y=0):
        self.x = x
        self.y = y

def decorate(function):
    note(function.__name__)
    return function

def decorator(*values):
    return decorate
'''

_HELPERS_CODE = compile(HELPERS, "<helpers>", "exec")

#: The folders of all installed modules, so that only the program is counted.
IGNORED_FOLDERS = sorted(
    {
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(folder for folder in sys.path if os.path.isabs(folder)),
    }
)


@dataclasses.dataclass(frozen=True)
class Run:
    """The counts and the observable outcome of one run of a Program."""

    counts: dict
    calledfuncs: dict
    callers: dict
    log: list
    n_decisions: int


def run(program, make_tracer, **arguments):
    """Return the Run of *program* under `make_tracer(**arguments)`, in this process.

    Automatic garbage collection is off during the run: it would close abandoned generators at another place each time.
    """
    collecting = gc.isenabled()
    gc.disable()
    helpers = {"FILE_NAME": FILE_NAME, "FUEL": FUEL, "DECISIONS": program.decisions, "__name__": "helpers"}
    exec(_HELPERS_CODE, helpers)
    names = {name: helpers[name] for name in helpers if not name.startswith("__")}
    names |= {"contextmanager": contextlib.contextmanager, "__file__": FILE_NAME, "__name__": "generated"}
    log = helpers["log"]
    arguments = {"count": 1, "trace": 0, "ignoredirs": IGNORED_FOLDERS, **arguments}
    unraisablehook = sys.unraisablehook
    try:
        events = log
        sys.unraisablehook = lambda broken: events.append(("unraisable", broken.exc_type.__name__))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(program.source, FILE_NAME, "exec", dont_inherit=True)
            tracer = make_tracer(**arguments)
            try:
                tracer.runctx(code, names, names)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                log.append(helpers["describe"](error))
                error = None
            results = tracer.results()
            # Take the log before abandoned generators are closed, which is not part of the run.
            log_of_run = list(log)
            answer = Run(
                {key: count for key, count in results.counts.items() if not key[0].startswith("<frozen")},
                dict(results.calledfuncs),
                dict(results.callers),
                log_of_run,
                helpers["taken"],
            )
            names.clear()
            helpers["kept"].clear()
            del tracer, results, names, helpers, log
    finally:
        # Collect cycles while the unraisable hook is set. All objects of this run are still in the youngest generation.
        gc.collect(0)
        sys.unraisablehook = unraisablehook
        if collecting:
            gc.enable()
    return answer


# -- writing one -----------------------------------------------------------------------------------------------------

PLAIN, GENERATOR, COROUTINE, ASYNC_GENERATOR = "plain", "generator", "coroutine", "async generator"
KINDS = PLAIN, GENERATOR, COROUTINE, ASYNC_GENERATOR
DRIVERS = {PLAIN: "call", GENERATOR: "walk", COROUTINE: "spin", ASYNC_GENERATOR: "tour"}
VARIABLES = "abc"
DEEPEST = 5


class Text(str):
    """The text of one statement; *simple* statements may share a line with others."""

    __slots__ = ()
    simple = False


class Simple(Text):
    """A statement without a block of its own."""

    __slots__ = ()
    simple = True


@dataclasses.dataclass(frozen=True)
class Place:
    """A point of the program, with the constructs that the grammar allows there."""

    kind: str = PLAIN
    in_function: bool = False
    in_loop: bool = False
    in_handler: bool = False
    #: In the body of an `except*`, which `return`, `break` and `continue` may not leave.
    in_star: bool = False
    #: In a lambda, a comprehension or a default, where the writer puts no `yield`, no `await` and no binding.
    in_scope: bool = False
    in_class: bool = False
    depth: int = 0

    def inside(self, **changes):
        return dataclasses.replace(self, depth=self.depth + 1, **changes)


class ProgramWriter:
    """Writes one program of about *size* statements; `choose(n)` returns a number below *n*."""

    def __init__(self, choose, size):
        self.choose = choose
        self.remaining = size
        self.functions = []
        self.n_names = 0

    # Small tools.

    def pick(self, *options):
        return options[self.choose(len(options))]

    def chance(self, n):
        """Return True once in *n* times; False is the simplest choice."""
        return self.choose(n) == n - 1

    def name(self, stem):
        self.n_names += 1
        return f"{stem}{self.n_names}"

    def variable(self):
        return self.pick(*VARIABLES)

    def names_of(self, *kinds):
        """Return the names of the functions of *kinds* that may be called here."""
        return [name for name, kind in self.functions if kind in kinds]

    # The whole.

    def program(self):
        """Return the text of a program: some functions, and a module body that drives each of them."""
        parts = ["a = b = c = 0"]
        for _ in range(self.choose(4) + 1):
            kind = self.pick(*KINDS, PLAIN)
            parts.append(self.function(kind, Place()))
            name = self.functions[-1][0]
            parts.append("\n".join([f"{DRIVERS[kind]}({self.invocation(name, kind)})"] * (self.choose(6) + 1)))
            if self.chance(4):
                parts.append(self.block(Place(depth=2)))
        if self.chance(40):
            parts.insert(1, "\n" * 300)
        return "\n".join(parts) + "\n"

    def invocation(self, name, kind):
        """Return what DRIVERS[kind] takes to drive the function called *name*."""
        arguments = self.pick("", "1", "1, 2", "c=1")
        if kind == PLAIN:
            return f"{name}, {arguments}" if arguments and "=" not in arguments else name
        return f"{name}({arguments})"

    # Statements.

    def block(self, place):
        """Return the text of one to four statements."""
        return "\n".join(self.statements(place))

    def statements(self, place):
        n_functions = len(self.functions)
        statements = [self.statement(place)]
        while len(statements) < 4 and self.remaining > 0 and self.choose(3):
            statements.append(self.statement(place))
        # Statements elsewhere must not call the functions that these may define.
        del self.functions[n_functions:]
        return statements

    def suite(self, header, place, lead=(), tail=()):
        """Return *header* with a block of statements, sometimes on one line if all of them are simple.

        The block begins with the texts *lead* and ends with the texts *tail*.
        """
        statements = [*map(Simple, lead), *self.statements(place), *tail]
        if all(statement.simple for statement in statements) and self.chance(4):
            return f"{header} {'; '.join(statements)}"
        return header + "\n" + "\n".join(map(indent, statements))

    def statement(self, place):
        self.remaining -= 1
        if self.remaining <= 0 or place.depth >= DEEPEST:
            return self.simple(place)
        if self.choose(2):
            return self.compound(place)
        return self.simple(place)

    def simple(self, place):
        options = [
            self.noting,
            self.assigning,
            self.failing,
            self.noting,
            self.calling,
            self.calling,
            self.assigning,
            self.passing,
            self.raising,
            self.asserting,
            self.evaluating,
            self.augmenting,
            self.deleting,
            self.unpacking,
            self.annotating,
        ]
        if place.in_function and not place.in_star:
            options += [self.returning]
        if place.in_loop:
            options += [self.leaving, self.leaving]
        if place.kind in (GENERATOR, ASYNC_GENERATOR):
            options += [self.yielding] * 4
        if place.kind in (COROUTINE, ASYNC_GENERATOR):
            options += [self.awaiting] * 4
        return Simple(self.pick(*options)(place))

    def noting(self, place):
        return f"note({self.choose(9)})"

    def assigning(self, place):
        if self.chance(6):
            return f"{self.variable()} = {self.variable()} = {self.value(place)}"
        return f"{self.variable()} = {self.value(place)}"

    def failing(self, place):
        return self.pick("fail()", "a = fail(1)", "fail(\n    fail())", "note(1,\n    fail())")

    def calling(self, place):
        known = self.names_of(PLAIN)
        if not known:
            return self.driving(place)
        return f"{self.pick(*known)}({self.arguments(place)})"

    def passing(self, place):
        return self.pick("pass", "...", "'text'", "None", f"global {self.name('g')}" if place.in_function else "0")

    def raising(self, place):
        options = ["raise ValueError(1)", "raise KeyError", "raise kind()", "raise kind()(\n    note(2))"]
        options += ["raise Halt from None", "raise TypeError() from ValueError()"]
        options += ["raise ExceptionGroup('two', [ValueError(1), KeyError(2)])"]
        if place.in_handler:
            options += ["raise", "raise"]
        return self.pick(*options)

    def may_raise(self, place):
        """Return a statement that raises by a decision: after an unconditional raise too many lines would not run."""
        return self.suite(f"if decide({self.choose(4) + 2}) == 1:", place.inside(), lead=[self.raising(place)])

    def asserting(self, place):
        return self.pick(
            lambda: f"assert {self.condition(place)}",
            lambda: f"assert {self.condition(place)}, {self.value(place)}",
            lambda: f"assert ({self.condition(place)}\n    ), note(1)",
        )()

    def evaluating(self, place):
        return self.value(place)

    def augmenting(self, place):
        return f"{self.variable()} {self.pick('+=', '-=', '|=')} {self.value(place)}"

    def deleting(self, place):
        variable = self.variable()
        return self.pick(
            f"{variable} = 1; del {variable}; {variable} = 0",
            f"del ({variable},\n    b); {variable} = b = 1",
            f"del {variable}",
        )

    def unpacking(self, place):
        return self.pick(
            "a, b = b, a", "a, *b = items()", "a, (b, c) = 1, (2,\n    3)", "[a, b] = items()", "a = *items(), 1"
        )

    def annotating(self, place):
        # A function may not annotate a variable that it declares global. These names are never declared global.
        return f"{self.name('n')}: int = {self.value(place)}"

    def returning(self, place):
        if place.kind == ASYNC_GENERATOR:
            return "return"
        return self.pick(lambda: "return", lambda: f"return {self.value(place)}")()

    def leaving(self, place):
        return self.pick("break", "continue")

    def yielding(self, place):
        options = [
            lambda: f"yield {self.atom()}",
            lambda: "yield",
            lambda: f"{self.variable()} = yield {self.value(place)}",
        ]
        options += [lambda: f"note((yield {self.atom()}),\n    (yield))"]
        if place.kind == GENERATOR:
            options += [lambda: f"yield from {self.iterable(place)}", lambda: f"a = yield from {self.iterable(place)}"]
        return self.pick(*options)()

    def awaiting(self, place):
        options = ["await pause(1)", "a = await pause(2)", "note(await pause(),\n    await pause(1))"]
        options += [f"await {name}(1)" for name in self.names_of(COROUTINE)]
        options += [f"await {name}().asend(None)" for name in self.names_of(ASYNC_GENERATOR)]
        return self.pick(*options)

    def driving(self, place):
        driven = [(name, kind) for name, kind in self.functions if kind in DRIVERS]
        if not driven:
            return "note(3)"
        name, kind = self.pick(*driven)
        return f"{DRIVERS[kind]}({self.invocation(name, kind)})"

    # Statements with blocks.

    def compound(self, place):
        options = [
            self.if_,
            self.may_raise,
            self.for_,
            self.while_,
            self.try_,
            self.try_,
            self.with_,
            self.match_,
            self.defining,
            self.classing,
        ]
        if place.kind in (COROUTINE, ASYNC_GENERATOR):
            options += [self.async_for, self.async_with]
        return Text(self.pick(*options)(place))

    def if_(self, place):
        inner = place.inside()
        parts = [self.suite(f"if {self.condition(place)}:", inner)]
        while self.chance(3):
            parts.append(self.suite(f"elif {self.condition(place)}:", inner))
        if self.choose(2):
            parts.append(self.suite("else:", inner))
        return "\n".join(parts)

    def for_(self, place):
        target = self.pick("a", "b", "c", "(a, b)", "a, *b", "[a,\n    b]")
        source = self.iterable(place)
        if len(target) > 1:
            source = f"zip({source}, items())"
        return self.loop(f"for {target} in {source}:", place)

    def while_(self, place):
        header = self.pick(
            lambda: "while more():",
            lambda: f"while more() and {self.condition(place)}:",
            lambda: f"while ({self.condition(place)}\n        and more()):",
            lambda: f"while (a := decide()) and more() and {self.condition(place)}:",
            lambda: None,
        )()
        if header is None:
            constant = self.pick("True", "1", "not 0")
            return self.loop(f"while {constant}:", place, lead="if not more(): break")
        return self.loop(header, place)

    def loop(self, header, place, lead=None):
        inner = place.inside(in_loop=True)
        if lead:
            text = header + "\n" + indent(lead) + "\n" + indent(self.block(inner))
        else:
            text = self.suite(header, inner)
        if self.chance(3):
            text += "\n" + self.suite("else:", place.inside())
        return text

    def async_for(self, place):
        sources = ["Ticks()"] + [f"{name}()" for name in self.names_of(ASYNC_GENERATOR)]
        return self.loop(f"async for {self.variable()} in {self.pick(*sources)}:", place)

    def try_(self, place):
        shape = self.choose(6)
        inner = place.inside()
        parts = [self.suite("try:", inner)]
        if shape == 5:
            handler = inner.inside(in_star=True, in_handler=True, in_loop=False)
            for _ in range(self.choose(2) + 1):
                kinds = self.pick("ValueError", "(KeyError, TypeError)", "Exception", "kind()")
                parts.append(self.suite(f"except* {kinds}{self.pick('', ' as e')}:", handler))
        elif shape != 1:
            handler = inner.inside(in_handler=True)
            for _ in range(self.choose(3)):
                kinds = self.pick("ValueError", "(KeyError, TypeError)", "kind()", "(ValueError,\n        kind())")
                parts.append(self.suite(f"except {kinds}{self.pick('', ' as e')}:", handler))
            if len(parts) == 1 or self.choose(2):
                last = self.pick("except Exception:", "except Exception as e:", "except:", "except BaseException as e:")
                parts.append(self.suite(last, handler))
        if len(parts) > 1 and self.chance(3):
            parts.append(self.suite("else:", inner))
        if len(parts) == 1 or self.chance(3):
            parts.append(self.suite("finally:", inner))
        return "\n".join(parts)

    def with_(self, place):
        return self.guarded("with", "Guard", place)

    def async_with(self, place):
        return self.guarded("async with", "AsyncGuard", place)

    def guarded(self, word, guard, place):
        managers = [f"{guard}({self.choose(3)})"]
        if word == "with":
            managers += [f"{name}()" for name in self.names_of("manager")]
        first, second = self.pick(*managers), self.pick(*managers)
        header = self.pick(
            f"{word} {first}:",
            f"{word} {first} as a:",
            f"{word} {first} as a, {second}:",
            f"{word} ({first} as a,\n        {second} as b):",
            f"{word} (\n    {first},\n    {second},\n):",
        )
        return self.suite(header, place.inside())

    def match_(self, place):
        subject = self.pick(
            "decide(3)", "[a, decide(3)]", "items()", "Point(decide(3), a)", "{'k': decide()}", "(a,\n        b)"
        )
        parts = [f"match {subject}:"]
        for _ in range(self.choose(3) + 1):
            pattern = self.pick(
                "0",
                "1 | 2",
                "[a, 0]",
                "[0, *b]",
                "Point(0, y=a)",
                "Point(x=b)",
                "{'k': 1}",
                "{'k': a, **b}",
                "int() as c",
                "[a,\n          b]",
            )
            guard = f" if {self.condition(place)}" if self.chance(3) else ""
            parts.append(indent(self.suite(f"case {pattern}{guard}:", place.inside())))
        if self.choose(2):
            parts.append(indent(self.suite("case _:", place.inside())))
        return "\n".join(parts)

    def defining(self, place):
        """Return the text of a function and of a statement that drives it."""
        if place.kind == PLAIN and not place.in_class and self.chance(5):
            return self.manager(place)
        kind = self.pick(*KINDS, PLAIN)
        text = self.function(kind, place)
        name, _ = self.functions[-1]
        return f"{text}\n{DRIVERS[kind]}({self.invocation(name, kind)})"

    def manager(self, place):
        name = self.name("manager")
        inner = Place(kind=GENERATOR, in_function=True, depth=place.depth + 1)
        body = self.pick(
            lambda: f"{self.block(inner)}\nyield a",
            lambda: self.suite("try:", inner, lead=["yield a"]) + "\n" + self.suite("finally:", inner),
            lambda: self.suite("try:", inner, lead=["yield a"]) + "\n" + self.suite("except Exception:", inner),
            lambda: "with Guard(): yield",
        )()
        self.functions.append((name, "manager"))
        return f"@contextmanager\ndef {name}(a=0, b=0, c=0):\n{indent(body)}\nwith {name}(): note(1)"

    def function(self, kind, place):
        """Return the text of a function of *kind*, and add its name to those that may be called."""
        functions = self.functions
        self.functions = list(functions)
        name = self.name("f")
        inner = Place(kind=kind, in_function=True, depth=place.depth + 1)
        word = "async def" if kind in (COROUTINE, ASYNC_GENERATOR) else "def"
        parameters = self.pick(
            lambda: "a=0, b=0, c=0",
            lambda: "a=0, *, b=0, c=0",
            lambda: f"a={self.value(Place(in_scope=True, depth=DEEPEST))}, b=0,\n        c=note(1)",
            lambda: "a: int = 0, b: note(2) = 0,\n        c: note(3) = 0",
        )()
        header = f"{word} {name}({parameters.replace('*, ', '')}):"
        lead = []
        if kind in (GENERATOR, ASYNC_GENERATOR):
            lead = [self.pick("yield", "if 0: yield", "yield a", "a = yield")]
        if lead and lead[0].startswith("if"):
            text = f"{header}\n    {lead[0]}\n{indent(self.block(inner))}"
        else:
            text = self.suite(header, inner, lead)
        self.functions = functions
        functions.append((name, kind))
        for _ in range(self.pick(0, 0, 0, 1, 2)):
            text = self.pick("@decorate", "@decorator(1)", "@decorator(note(1),\n    note(2))") + "\n" + text
        return text

    def classing(self, place):
        name = self.name("C")
        inner = place.inside(
            kind=PLAIN, in_function=False, in_loop=False, in_class=True, in_star=False, in_handler=False
        )
        bases = self.pick("", "(Point)", "(Point,\n    object)")
        header = f"class {name}{bases}:"
        if not self.choose(2):
            return self.suite(header, inner)
        method = self.suite("def m(self, a=0, b=0, c=0):", Place(in_function=True, depth=place.depth + 1))
        instance = f"{name}(1)" if bases else f"{name}()"
        return f"{self.suite(header, inner, tail=[Text(method)])}\ncall({instance}.m, 1)"

    # Expressions. Those that span lines are in brackets, so each is allowed everywhere.

    def atom(self):
        return self.pick(
            lambda: str(self.choose(4)), self.variable, lambda: f"note({self.choose(9)})", lambda: "decide()"
        )()

    def arguments(self, place):
        inner = place.inside()
        return self.pick(
            lambda: "",
            lambda: self.value(inner),
            lambda: f"{self.value(inner)},\n    {self.value(inner)}",
            lambda: "*items()[:2]",
            lambda: f"c={self.value(inner)}",
        )()

    def value(self, place):
        if place.depth >= DEEPEST or self.remaining <= 0 or not self.choose(2):
            return self.atom()
        self.remaining -= 1
        options = [
            self.sum_,
            self.sum_,
            self.either,
            self.both,
            self.both,
            self.multi_line_call,
            self.comprehension,
            self.comprehension,
            self.lambda_,
            self.display,
            self.broken,
            lambda place: f"({self.condition(place)})",
            self.text,
        ]
        if self.names_of(PLAIN):
            options += [self.plain_call] * 3
        if not place.in_scope and not place.in_class:
            options += [self.walrus]
        if not place.in_scope and place.kind in (GENERATOR, ASYNC_GENERATOR):
            options += [lambda place: f"(yield {self.atom()})"] * 2
        if not place.in_scope and place.kind in (COROUTINE, ASYNC_GENERATOR):
            options += [lambda place: f"(await pause({self.atom()}))", self.async_comprehension]
        return self.pick(*options)(place.inside())

    def sum_(self, place):
        return f"({self.value(place)}{self.pick(' ', chr(10) + '    ')}+ {self.value(place)})"

    def either(self, place):
        gap = self.pick(" ", "\n    ")
        return f"({self.value(place)}{gap}if {self.condition(place)}{gap}else {self.value(place)})"

    def both(self, place):
        gap = self.pick(" ", "\n    ")
        parts = [self.pick(self.condition, self.value)(place) for _ in range(self.choose(2) + 2)]
        text = parts[0]
        for part in parts[1:]:
            text += gap + self.pick("and ", "or ") + part
        return f"({text})"

    def multi_line_call(self, place):
        return self.pick(
            lambda: f"note(\n    {self.value(place)},\n    {self.value(place)})",
            lambda: f"note({self.value(place)},\n    last={self.value(place)},\n)",
            lambda: f"(note\n    )({self.value(place)})",
        )()

    def plain_call(self, place):
        return f"{self.pick(*self.names_of(PLAIN))}({self.arguments(place)})"

    def comprehension(self, place):
        inner = dataclasses.replace(place, in_scope=True)
        gap = self.pick(" ", "\n    ")
        clauses = f"{gap}for {self.pick('a', 'x')} in {self.iterable(inner)}"
        if self.chance(3):
            clauses += f"{gap}for b in items()"
        if self.chance(2):
            clauses += f"{gap}if {self.condition(inner)}"
        element = self.value(inner)
        return self.pick(
            f"[{element}{clauses}]",
            f"{{note(1): {element}{clauses}}}",
            f"list({element}{clauses})",
            f"next(({element}{clauses}), 0)",
            f"any({element}{clauses})",
            f"[[{element}{clauses}]\n    for c in items()]",
        )

    def async_comprehension(self, place):
        inner = dataclasses.replace(place, in_scope=True)
        gap = self.pick(" ", "\n    ")
        return self.pick(
            lambda: f"[{self.value(inner)}{gap}async for x in Ticks()]",
            lambda: f"[{self.value(inner)}{gap}async for x in Ticks(){gap}if {self.condition(inner)}]",
            lambda: f"[await pause(x){gap}for x in items()]",
            lambda: f"[x async for x in ({self.value(inner)}{gap}async for y in Ticks())]",
        )()

    def lambda_(self, place):
        inner = dataclasses.replace(place, in_scope=True)
        parameters = self.pick("a", "a, b=0", "*a", "a=note(1)")
        return f"(lambda {parameters}:{self.pick(' ', chr(10) + '    ')}{self.value(inner)})({self.atom()})"

    def display(self, place):
        gap = self.pick(" ", "\n    ")
        first, second = self.value(place), self.value(place)
        return self.pick(
            f"[{first},{gap}{second}]",
            f"({first},{gap}{second})",
            f"{{1: {first},{gap}2: {second}}}",
            f"[*items(),{gap}{first}]",
        )

    def broken(self, place):
        """Return an expression in which C code raises, always or by a decision."""
        return self.pick(
            "[0, 1][decide(3)]", "(1 / decide())", "int('x')", "{}[a]", "next(iter(items()))", "a.x", "unknown"
        )

    def text(self, place):
        return self.pick(
            "f'{decide()}'", "f'{note(1)} {decide():>{note(2)}}'", "f'{note(1)!r}'", "''.join(map(str, items()))"
        )

    def walrus(self, place):
        return f"({self.variable()} := {self.value(place)})"

    def condition(self, place):
        if place.depth >= DEEPEST or self.remaining <= 0 or self.choose(2):
            return self.pick("decide()", "not decide()", "a", "decide(3) > 1", "True", "0", "more()")
        inner = place.inside()
        gap = self.pick(" ", "\n    ")
        return self.pick(
            lambda: f"not {self.condition(inner)}",
            lambda: f"({self.condition(inner)}{gap}and {self.condition(inner)})",
            lambda: f"({self.condition(inner)}{gap}or {self.condition(inner)})",
            lambda: f"(0 <= {self.atom()}{gap}< {self.atom()}{gap}<= decide(4))",
            lambda: f"({self.atom()} is not None{gap}and {self.value(inner)})",
            lambda: f"decide() in {self.display(inner)}",
            lambda: self.either(inner),
            lambda: "fail()",
        )()

    def iterable(self, place):
        options = [
            lambda: "items()",
            lambda: "range(decide(4))",
            lambda: "(1, 2)",
            lambda: "[decide(), a,\n    decide()]",
        ]
        options += [lambda: "(x for x in items())", lambda: "map(fail, items())"]
        options += [lambda name=name: f"{name}({self.pick('', '1')})" for name in self.names_of(GENERATOR)] * 2
        return self.pick(*options)()


def indent(text):
    """Return *text* with every line four columns further right."""
    return "\n".join("    " + line if line else line for line in text.split("\n"))
