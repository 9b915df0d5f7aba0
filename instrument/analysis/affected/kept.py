"""Finds functions that may return a result which changed code computed in an earlier test.

The work of each test comes in, the order of tests in a process, and the set of changed code objects. A set of
functions for each test goes out. They may find such a result in a cache, or use an object that was made once.

Problem: the counts do not say which function calls which.
Solution: a function that keeps a result has computed it in an earlier test. Three things hold in this test:

- The function may have called the changed code.
- A call of the function may also skip this call.
- The function, or another one that it calls, may store the result.

A later test that runs the function may use the result.

The calls are found by names in the sources. An indirect call, as of a callback, may be one of each function whose name
is used as a value. A store matters in an object that outlives tests. Such an object is a root (`stores`). It may
also be of a class of which objects are made outside of tests, or in code that stores in roots.
Alternative: all code of the first test that ran a function. Nearly all tests would depend on all of it.
"""

from __future__ import annotations

from instrument.analysis.affected.foreign import may_call, may_store, protocols_of
from instrument.analysis.affected.nodes import CONSTRUCTORS
from instrument.analysis.affected.work import members, set_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from instrument.analysis.affected.units import Unit


#: Methods to which an operation gives no value.
_WITHOUT_VALUES = frozenset(
    ("__getattr__", "__getattribute__", "__get__", "__hash__", "__len__", "__bool__", "__repr__", "__str__")
)


#: Methods that run only if nothing is kept: a store in the object, or in its variables, answers the next access.
_ANSWERED = ("__getattr__", "__missing__")
#: Decorators that make a context manager of a generator. The code that calls it by its name runs it.
_CONTEXT_MANAGERS = frozenset(("contextmanager", "asynccontextmanager"))


class Calls:
    """Which code objects may call which, by the names in their units; *units* has None for code without a source.

    - keepers: code whose decorator may answer calls without running it
    - storing: code that may store a value for later calls, in any object that it has not made
    - roots: code that may store it in an object that outlives all tests (`stores`)
    """

    def __init__(self, units: Sequence[Unit | None]) -> None:
        self._known = [(1 << number, unit) for number, unit in enumerate(units) if unit is not None]
        self._unknown = set_of(number for number, unit in enumerate(units) if unit is None)
        self._by_name = _by_name(self._known)
        self._names = {key.rpartition(".")[2] for key in self._by_name}
        self._by_beginning: dict[tuple[str, bool], int] = {}
        self._bases: dict[str, set[str]] = {}
        self._constructors: dict[str, int] = {}
        for bit, unit in self._known:
            if unit.bases is not None:
                bases = (name.removeprefix(".") for name in unit.bases)
                self._bases.setdefault(unit.base_name, set()).update(bases)
            elif unit.base_name in CONSTRUCTORS:
                self._constructors[unit.class_name] = self._constructors.get(unit.class_name, 0) | bit
        self._find_callable()
        self._find_storing()
        #: The code objects that may call each one, and those of which a call may skip the call of it.
        self._callers = [0] * len(units)
        self._skippers = [0] * len(units)
        everything = (1 << len(units)) - 1
        for number, each in enumerate(units):
            called = everything if each is None else self._called_by(each)
            skippable = everything if each is None else called & ~self._never_skipped_by(each)
            for sets, found in ((self._callers, called), (self._skippers, skippable)):
                for callee in members(found):
                    sets[callee] |= 1 << number

    def _find_callable(self) -> None:
        """Find the code that is called without its name."""
        #: Code that operators and protocols call, by the name of the special method.
        self._special: dict[str, int] = {"__next__": 0}
        for bit, unit in self._known:
            if unit.effects.is_suspended and unit.decorators.isdisjoint(_CONTEXT_MANAGERS):
                self._special["__next__"] |= bit
            if _is_dunder(unit.base_name) and unit.base_name not in CONSTRUCTORS:
                self._special[unit.base_name] = self._special.get(unit.base_name, 0) | bit
        taken = {name for _, unit in self._known for name in unit.effects.taken}
        #: Code that an indirect call may call.
        self._taken = self._unknown
        self._descriptors = 0
        for bit, unit in self._known:
            is_constructor = unit.base_name in CONSTRUCTORS and unit.class_name in taken
            is_decorated = bool(unit.decorators) and not unit.is_body
            if unit.base_name in taken or is_constructor or is_decorated or unit.effects.has_lambda:
                self._taken |= bit
            if unit.is_descriptor:
                self._descriptors |= bit
        #: Names that are assigned, so that a call of them is indirect.
        self._assigned = {name for _, unit in self._known for name in unit.effects.assigned}

    def _find_storing(self) -> None:
        """Find the code that may store results."""
        shared = {name for _, unit in self._known if unit.bases is not None for name in unit.effects.shared}
        returning = {unit.base_name for _, unit in self._known if unit.effects.returns_root}
        self.keepers = self._given = 0
        for bit, unit in self._known:
            if any(not self._is_run_by(name) for name in unit.decorators - _CONTEXT_MANAGERS):
                self.keepers |= bit
            if unit.effects.stores_given and unit.base_name not in _WITHOUT_VALUES:
                self._given |= bit
        self._given |= self._unknown
        self.storing = self.roots = self.keepers | self._unknown
        for bit, unit in self._known:
            effects = unit.effects
            if effects.stores or any(map(may_store, self._foreign(effects.calls))):
                self.storing |= bit
            if (
                effects.stores_in_roots
                or not shared.isdisjoint(effects.changes)
                or any(map(may_store, self._foreign(effects.calls_on_roots)))
                or not returning.isdisjoint(effects.stores_in_results_of)
                or any(map(may_store, self._foreign(effects.stores_in_results_of)))
            ):
                self.roots |= bit

    def _foreign(self, names: Iterable[str]) -> list[str]:
        """Return those of *names* that no unit has."""
        return [name for name in names if name not in self._names]

    def _never_skipped_by(self, unit: Unit) -> int:
        """Return the code objects that each call of *unit* calls, if it calls them at all."""
        if unit.decorators or unit.base_name in _ANSWERED:
            return 0
        if not unit.effects.skips_calls:
            return -1
        always = _keys_of(unit.effects.mentions - unit.effects.skippable, unit)
        found = _union(self._by_name.get(key, 0) for key in always)
        for name in unit.effects.protocols - unit.effects.skippable_protocols:
            found |= self._special.get(name, 0)
        for name in self._foreign(unit.effects.calls):
            for each in self._special if (names := protocols_of(name)) is None else names:
                found &= ~self._special.get(each, 0)
        return found

    def _is_run_by(self, name: str) -> bool:
        """Return whether the decorator *name* is a function of the project that calls the function.

        Then its code is counted. A decorator that calls unknown functions may hand the function to a cache.
        """
        found = [unit for bit, unit in self._known if unit.base_name == name]
        inner = [unit for _, unit in self._known for each in found if unit.name.startswith(f"{each.name}.")]
        foreign = self._foreign(name for unit in (*found, *inner) for name in unit.effects.calls)
        return bool(inner) and not any(map(may_store, foreign))

    def _called_by(self, unit: Unit) -> int:
        """Return the code objects that *unit* may call."""
        effects, foreign = unit.effects, self._foreign(unit.effects.calls)
        called = self._unknown
        is_indirect = effects.calls_indirectly or not self._assigned.isdisjoint(effects.callees)
        if is_indirect or any(map(may_call, foreign)):
            called |= self._taken
        protocols = {*effects.protocols}
        for name in foreign:
            names = protocols_of(name)
            protocols.update(self._special if names is None else names)
        for name in protocols:
            called |= self._special.get(name, 0)
        if effects.makes_own_class:
            called |= _union(map(self._constructors_of, self._derived_from(unit.class_name)))
        for key in _keys_of((*unit.effects.called, *(unit.bases or ())), unit):
            called |= self._by_name.get(key, 0)
        for name in unit.effects.taken:
            called |= self._by_name.get(f".{name}", 0) & self._descriptors
        for beginning in unit.effects.beginnings:
            called |= self._beginning_with(*beginning)
        return called

    def _beginning_with(self, beginning: str, is_method: bool) -> int:
        """Return the functions, or methods, whose names have this *beginning*."""
        key = beginning, is_method
        if key not in self._by_beginning:
            found = _union(bits for key, bits in self._by_name.items() if key.rpartition(".")[2].startswith(beginning))
            methods = _union(bit for bit, unit in self._known if unit.class_name) if is_method else -1
            self._by_beginning[key] = found & methods
        return self._by_beginning[key]

    def keeping(self, targets: int, within: int, storing: int) -> int:
        """Return the code objects of the set *within* that may call one of *targets*, and may keep a result.

        A call of them may skip the call of the target. They, or others of the set that they may call, are *storing*.
        """
        leading = self.leading_to(targets, within) if targets else 0
        storing &= within | targets
        if not leading or not storing:
            return 0
        skipping = 0
        for number in members(leading | targets):
            skipping |= self._skippers[number]
        return leading & skipping & (storing | self.leading_to(storing & self._given, within, self._given))

    def _old_classes(self, before: int) -> frozenset[str]:
        """Return the classes of which objects may outlive tests: they were made *before*, or where roots are set."""
        makers = [unit for bit, unit in self._known if not unit.is_body and self.roots & bit]
        made = {name.removeprefix(".") for unit in makers for name in unit.effects.mentions}
        made |= {unit.class_name for unit in makers if unit.effects.makes_own_class}
        called_before = {name for bit, unit in self._known if before & bit for name in unit.effects.callees}
        pending = []
        for name in self._bases:
            constructors = self._constructors_of(name)
            if name in made or constructors & before or (not constructors and name in called_before):
                pending.append(name)
        old: set[str] = set()
        while pending:
            name = pending.pop()
            if name not in old:
                old.add(name)
                pending += self._bases.get(name, ())
        return frozenset(old)

    def _derived_from(self, name: str) -> set[str]:
        """Return the class *name*, and the classes that have it as a base, directly or not."""
        found = {name}
        while new := {each for each, bases in self._bases.items() if each not in found and bases & found}:
            found |= new
        return found

    def _constructors_of(self, name: str) -> int:
        """Return the constructors of the class *name*, those of its bases included."""
        found, pending = 0, [name]
        seen: set[str] = set()
        while pending:
            each = pending.pop()
            if each not in seen:
                seen.add(each)
                found |= self._constructors.get(each, 0)
                pending += self._bases.get(each, ())
        return found

    def special(self, name: str) -> int:
        """Return the special methods called *name*."""
        return self._special.get(name, 0)

    def storing_in_old(self, before: int) -> int:
        """Return the code objects that may store in roots, or in objects that outlive tests."""
        old = self._old_classes(before)
        return self.roots | _union(
            bit for bit, unit in self._known if unit.effects.stores_in_self and unit.class_name in old
        )

    def leading_to(self, targets: int, within: int, through: int = -1) -> int:
        """Return the code objects of the set *within* that may call one of *targets*, directly or by others of it.

        Those others, and the targets, are in the set *through*.
        """
        reached = targets
        pending = targets & through
        while pending:
            callers = 0
            for number in members(pending):
                callers |= self._callers[number]
            new = callers & within & ~reached
            reached |= new
            pending = new & through
        return reached & ~targets


def uses_of_kept_results(
    calls: Calls, changed: int, others: Iterable[int], order: Iterable[int]
) -> tuple[list[int], int]:
    """Return the functions that may return results of *changed* code which an earlier test computed.

    *others* has a set for each context outside of tests: the code objects that ran there. *order* has a set for each
    test, in the order of the tests. The list has the functions of each test; the set has those of all.
    """
    contexts = list(others)
    before = _union(contexts)
    storing = calls.storing_in_old(before)
    keepers = calls.keepers | _union(storing & calls.special(name) for name in _ANSWERED)
    kept = 0
    for work in (*contexts, *contexts):  # a fixture may be set up before another
        kept |= calls.keeping((changed | kept) & work, work, calls.storing)
    seen = before
    uses = []
    for work in order:
        # Code in `keepers` that ran earlier may answer a call without being run.
        answering = (changed | kept) & keepers & seen
        found = calls.keeping((changed | kept) & work | answering, work, storing)
        uses.append(work & kept | found | calls.leading_to(answering, work))
        kept |= found
        seen |= work
    return uses, kept


def _by_name(known: Sequence[tuple[int, Unit]]) -> dict[str, int]:
    """Return the code objects that each identifier may stand for: functions, constructors of classes, and aliases.

    A method is found as an attribute, a function in a function by its qualified name.
    """
    by_name: dict[str, int] = {}
    for bit, unit in known:
        around, _, name = unit.name.rpartition(".")
        found = [(around, name, bool(unit.class_name))]
        if _is_dunder(name) and unit.class_name:  # a class is called by its own name
            outer, _, class_name = around.rpartition(".")
            found.append((outer, class_name, bool(outer) and not outer.endswith("<locals>")))
        for place, each, is_method in found:
            if place.endswith("<locals>"):
                keys = [f"{place}.{each}"]
            else:
                keys = [f".{each}"] if is_method else [each, f".{each}"]
            for key in keys:
                by_name[key] = by_name.get(key, 0) | bit
    for _, unit in known:
        for name, values in unit.aliases.items():  # a call of an alias may be one of the functions in its value
            for value in values:
                for key in (name, f".{name}") if value in by_name else ():
                    by_name[key] = by_name.get(key, 0) | by_name[value]
    return by_name


def _keys_of(identifiers: Iterable[str], unit: Unit) -> Iterator[str]:
    """Yield the keys of `_by_name` for *identifiers* in *unit*."""
    parts = unit.name.split(".<locals>.")
    places = [".<locals>.".join(parts[:n]) for n in range(1, len(parts) + 1)]
    for each in identifiers:
        yield each
        if not each.startswith("."):
            yield from (f"{place}.<locals>.{each}" for place in places)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _union(sets: Iterable[int]) -> int:
    bits = 0
    for each in sets:
        bits |= each
    return bits
