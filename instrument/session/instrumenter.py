"""The instrumenter: makes the program's code live as the hooks get hold of it.

Code comes in that is about to run: of a module that is imported, or exec'd code. Live code goes out if the
instrumenter's choice selects it. Other code goes out as its original. If it may execute code of others, a twin goes out
that only intercepts `exec`.

Each run of a `Trace` has an instrumenter of its own. The recorder and all `counting` share one (`session.scoped`).
"""

from __future__ import annotations

from types import NoneType

from instrument.flow import placement_names
from instrument.hooks import imports
from instrument.session.originals import give_out
from instrument.session.registry import is_live, live_place
from instrument.session.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Protocol

    from instrument.link.cache import Cache
    from instrument.link.module_import import ModuleImport
    from instrument.session.session import Session

    class Choice(Protocol):
        """Decides which code is measured."""

        #: Whether code that another measurement has made live stays live if this choice does not select it.
        spares_live_code: bool
        #: Whether it may select code from no file.
        selects_texts: bool

        def selects(self, name: object, file: object, source: str) -> bool:
            """Return whether code of the source file *source* is measured.

            *name* and *file* are the `__name__` and `__file__` of the module that it runs in, of whatever type.
            """

        def note_entered(self, file: str) -> None:
            """Note which modules with the bare name of *file* were entered until now; called before all others."""

        def note_execution(self, file: str) -> None:
            """Note that code is about to run in a module with this `__file__`."""


#: The receiver of the original, if measured code is to run in an unmeasured namespace.
_OUTSIDE = "exec or FunctionType outside of the scope"
#: Types whose comparison calls no code of the program.
_PLAIN_TYPES = (str, NoneType)
_N_RECENT = 512
#: Works like `id`, which raises an audit event: a hook of the program may forbid that.
_identity = object.__hash__


class Instrumenter:
    """Makes code live in *session* that *choice* selects.

    *note_live* is called with each live code object, the file and name of its module, and the import if there is one.
    """

    def __init__(
        self,
        session: Session,
        choice: Choice,
        note_live: Callable[[CodeType, str, str | None, ModuleImport | None], None] | None = None,
    ) -> None:
        self.session = session
        #: Whether the cache may have twins for bytecode, so that imports need to ask.
        self.takes_bytecode = session.callbacks is None
        self.measures_texts = choice.selects_texts
        self._choice = choice
        self._note_live = note_live
        #: Recently executed code, the module where it ran, and the code object that ran in its place, by the identity
        #: of the code. So a loop around `eval` does the work once. Twins in here are in use, and are not retired.
        self._recent_code: dict[int, tuple[CodeType, tuple[object, ...], CodeType]] = {}

    def forget_recent_code(self) -> None:
        """Decide anew about code that was executed before: *choice* has changed."""
        self._recent_code.clear()

    def instrument(
        self, code: CodeType, namespace: dict[str, object], module_import: ModuleImport | None = None
    ) -> CodeType:
        """Return the code object that runs in *namespace* in place of *code*.

        *module_import* is the import if *code* is that of a module, and None for exec'd code.
        """
        file = dict.get(namespace, "__file__")
        name = dict.get(namespace, "__name__")
        if module_import is not None:
            return self._instrument(code, file, name, module_import)
        if type(file) not in _PLAIN_TYPES or type(name) not in _PLAIN_TYPES:
            return imports.instrument_or_none(self, self._instrument, code, namespace, file, name, None) or code
        # All that the result depends on, beside the code.
        module = file, name, imports.n_instrumenters()
        recent = self._recent_code.get(_identity(code))
        if recent is not None and recent[0] is code and recent[1] == module:
            return recent[2]
        result = imports.instrument_or_none(self, self._instrument, code, namespace, file, name, None)
        if result is None:
            return code
        if len(self._recent_code) >= _N_RECENT:
            self._recent_code.clear()
        self._recent_code[_identity(code)] = code, module, result
        return result

    def _instrument(self, code: CodeType, file: object, name: object, module_import: ModuleImport | None) -> CodeType:
        module_file = file if isinstance(file, str) else None
        if module_file is not None:
            self._choice.note_entered(module_file)
            self._choice.note_execution(module_file)
        if self._choice.selects(name, file, code.co_filename):
            if module_import is None:
                live = self.session.instrument_exec_code(code, module_file)
            else:
                live = self.session.instrument_module(code, module_file, module_import)
            if self._note_live is not None and module_file is not None:
                self._note_live(live, module_file, name if isinstance(name, str) else None, module_import)
            return live
        if self._choice.spares_live_code and is_live(code) and imports.n_instrumenters() > 1:
            return code
        return code_if_unmeasured(code, module_file, module_import)

    def code_for_cached_bytecode(self, module_import: ModuleImport) -> CodeType | None:
        """Return the code object that runs in place of the bytecode of *module_import*.

        Return None if the code in the bytecode must be examined first.

        A code object that is returned passes through `instrument` before it runs.
        """
        file = dict.get(module_import.namespace, "__file__")
        if not isinstance(file, str):
            return None
        self._choice.note_entered(file)
        if self._choice.selects(dict.get(module_import.namespace, "__name__"), file, module_import.path):
            code = module_import.twin = self.session.instrument_cached_module(module_import, file)
        else:
            code = bytecode_if_unmeasured(module_import, file)
        if code is not None or module_import.needs_no_rewrite:
            self._choice.note_execution(file)
        return code

    def original_of(self, code: CodeType) -> CodeType:
        """Return the original of *code*, which is about to be marshalled."""
        return give_out(code, "marshal")

    def cache(self) -> Cache:
        """Return the cache of the session."""
        return self.session.unlinked_code.cache()


def code_if_unmeasured(code: CodeType, file: str | None, module_import: ModuleImport | None) -> CodeType:
    """Return unmeasured *code* itself, or a version that only intercepts `exec` if it may execute measured code.

    Return the original if *code* was live. *file* is the `__file__` of the module that it runs in, *module_import* the
    import if it is the code of a module.
    """
    nothing = session(placement_names.NOTHING)
    place = live_place(code)
    if place is None or place.registry is not nothing:
        code = give_out(code, _OUTSIDE)
        if not nothing.unlinked_code.exec_free_modules().may_execute_code_in(code, module_import):
            return code
    if module_import is None:
        return nothing.instrument_exec_code(code, file)
    return nothing.instrument_module(code, file, module_import)


def bytecode_if_unmeasured(module_import: ModuleImport, file: str) -> CodeType | None:
    """Return the cached twin that runs in place of unmeasured bytecode, and only intercepts executors.

    Return None if the cache does not have it, or if the module is exec-free. Then `needs_no_rewrite` of *module_import*
    becomes True. If the bytecode was not read yet, its stamp is predicted.
    """
    if module_import.bytecode is None:
        module_import.predict_bytecode()
    nothing = session(placement_names.NOTHING)
    module_import.needs_no_rewrite = nothing.unlinked_code.exec_free_modules().is_exec_free(module_import)
    return None if module_import.needs_no_rewrite else nothing.instrument_cached_module(module_import, file)
