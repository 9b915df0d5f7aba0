"""Existing functions: they existed before a measurement began.

All functions of the heap are examined, and the code of those to be measured is exchanged for its twin. Of unmeasured
modules, only functions that may execute code of others are exchanged, for twins of the placement NOTHING.
"""

from __future__ import annotations

import sys
from _operator import attrgetter
from _weakref import ref
from itertools import compress
from types import FunctionType

from instrument.decode.executors import executors_in_frozen_modules, may_execute_code, need_search
from instrument.flow import placement_names
from instrument.guest.own_builtins import ours
from instrument.guest.own_imports import own_modules
from instrument.guest.own_loader import modules
from instrument.hooks import exec_calls
from instrument.link.cache import Batch
from instrument.link.linker import appended_constants
from instrument.session.garbage_collector import all_functions, instances_of
from instrument.session.originals import original_of
from instrument.session.registry import is_live
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import TypeAlias

    from instrument.session.session import Session

    #: Given the `__file__` and the name of a module, returns the session that its code becomes live in. Returns None
    #: for unmeasured modules.
    ChooseSession: TypeAlias = Callable[[str | None, str | None], Session | None]
    #: Namespaces of modules, by identity, and the functions that run in them.
    FunctionsByNamespace: TypeAlias = dict[int, list[FunctionType]]


#: The flag of a code object that gets its own local variables: of each function, and of no module.
_CO_NEWLOCALS = 0x2
_code_of = attrgetter("__code__")


class SourceFunctions:
    """The existing functions of one module whose code comes from one source file.

    - session: the session that makes their code live.
    - file: the `__file__` of the module, or None.
    - name: the name of the module, or None.
    - by_code: the code objects with the functions that run them, by the identity of the code object.
    """

    __slots__ = ("by_code", "file", "name", "session")

    def __init__(self, session: Session, file: str | None, name: str | None) -> None:
        self.session = session
        self.file = file
        self.name = name
        self.by_code: dict[int, tuple[CodeType, list[FunctionType]]] = {}

    def add(self, function: FunctionType) -> None:
        """Add *function*."""
        code = function.__code__
        self.by_code.setdefault(id(code), (code, []))[1].append(function)

    def all_functions(self) -> list[FunctionType]:
        """Return all functions."""
        return [function for _, functions in self.by_code.values() for function in functions]


def instrument_existing_functions(
    choose_session: ChooseSession,
    on_twin: Callable[[CodeType, str | None, str | None], None] | None = None,
    on_files: Callable[[set[str]], None] | None = None,
    on_functions: Callable[[str | None, list[FunctionType]], None] | None = None,
) -> None:
    """Exchange the code of every function for its twin in the session that *choose_session* returns.

    First call *on_files* with the files of all modules. Then, for each module and source file that is measured, call
    *on_twin* with each twin and the module's file and name, and *on_functions* with the file and the functions.
    """
    nothing = session(placement_names.NOTHING)
    batches: dict[Session, Batch] = {}
    for source in _functions_by_source(choose_session, nothing, on_files):
        chosen = source.session
        if chosen not in batches:
            batches[chosen] = Batch(chosen.unlinked_code.cache())
        codes = list(source.by_code.values())
        aliases = exec_calls.executor_names_in_namespace(codes[0][1][0].__globals__)
        twins = chosen.instrument_existing_code([code for code, _ in codes], source.file, batches[chosen], aliases)
        if on_twin is not None and chosen is not nothing:
            for twin in twins:
                on_twin(twin, source.file, source.name)
        for (code, functions), twin in zip(codes, twins):
            if twin is not code:
                _exchange(functions, code, twin, chosen if chosen is nothing else None)
        if on_functions is not None and chosen is not nothing:
            on_functions(source.file, source.all_functions())
    for batch in batches.values():
        batch.flush()


def _exchange(functions: list[FunctionType], code: CodeType, twin: CodeType, nothing: Session | None) -> None:
    """Exchange the *code* of *functions* for its *twin*; if it is a twin of the session *nothing*, note that there."""
    for function in functions:
        if function.__code__ is code:
            function.__code__ = twin
            if nothing is not None:
                nothing.exchanged_functions.append((ref(function), code, twin))


def _functions_by_source(
    choose_session: ChooseSession, nothing: Session, on_files: Callable[[set[str]], None] | None
) -> Iterable[SourceFunctions]:
    """Return the functions whose code is to be exchanged, by session, module and source file."""
    by_namespace = _functions_by_namespace()
    modules = [(_text_in(each[0], "__file__"), _text_in(each[0], "__name__")) for each in by_namespace.values()]
    if on_files is not None:
        on_files({file for file, _ in modules if file is not None})
    by_source: dict[tuple[Session, str | None, str | None, str], SourceFunctions] = {}
    for (file, name), functions in zip(modules, by_namespace.values()):
        module_session = choose_session(file, name)
        if module_session is None:
            functions = _without_exec_free(functions)
        for function in functions:
            code = function.__code__
            if module_session is not None:
                chosen = module_session
            # Without the flag it is the code of a module, which runs.
            elif code.co_flags & _CO_NEWLOCALS and may_execute_code(code) and not is_live(code):
                chosen = nothing
            else:
                continue
            key = chosen, file, name, code.co_filename
            if key not in by_source:
                by_source[key] = SourceFunctions(chosen, file, name)
            by_source[key].add(function)
    return by_source.values()


def _without_exec_free(functions: list[FunctionType]) -> list[FunctionType]:
    """Return *functions* without most of those whose code cannot call an executor.

    Most functions that exist at a start are those of frozen modules, whose code is known. [3.12, callgrind, a start, in
    million instructions: 0.9; 5.6 if all are searched]
    """
    places_in = executors_in_frozen_modules().get
    maybe: list[FunctionType] = []
    others: list[FunctionType] = []
    for function in functions:
        code = function.__code__
        places = places_in(code.co_filename)
        if places is None:
            others.append(function)
        elif places and (code.co_qualname, code.co_firstlineno) in places:
            maybe.append(function)
    return [*maybe, *compress(others, need_search(list(map(_code_of, others))))]


def _functions_by_namespace() -> FunctionsByNamespace:
    """Return all functions of the heap, without those of this package and of its private copies of modules."""
    own_namespaces = {id(vars(module)) for module in (*own_modules, *modules.values())}
    for key, module in list(sys.modules.items()):
        if type(key) is str and key.partition(".")[0] == __name__.partition(".")[0] and module is not None:
            own_namespaces.add(id(vars(module)))
    by_namespace: FunctionsByNamespace = {}
    list_of = by_namespace.get
    for function in all_functions():
        namespace = function.__globals__
        functions = list_of(id(namespace))
        if functions is not None:
            functions.append(function)
        # Our own builtins are those of a module that was executed twice.
        elif id(namespace) not in own_namespaces and dict.get(namespace, "__builtins__") is not ours:
            by_namespace[id(namespace)] = [function]
    return by_namespace


def _text_in(function: FunctionType, name: str) -> str | None:
    """Return the value of *name* in the module of *function* if it is a string, else None."""
    value = dict.get(function.__globals__, name)
    return value if isinstance(value, str) else None


def restore_unmeasured_functions() -> None:
    """Give the existing functions of unmeasured modules their originals back, unless the process needs their twins.

    Code that was imported since keeps its twins, which cost next to nothing.
    """
    nothing = session(placement_names.NOTHING)
    if nothing.is_permanent:
        return
    exchanged, nothing.exchanged_functions = nothing.exchanged_functions, []
    for reference, code, twin in exchanged:
        function = reference()
        if function is not None and function.__code__ is twin:
            function.__code__ = code


def restore_all_functions(session: Session) -> None:
    """Give every function whose code is live in *session* its original back."""
    for function in instances_of([FunctionType]):
        constants = appended_constants(function.__code__)
        if constants is not None and constants[0] is session.records:
            function.__code__ = original_of(function.__code__)
