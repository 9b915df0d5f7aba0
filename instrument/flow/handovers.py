"""Which code may hand code to the interpreter.

Code objects and the names that they use come in; whether they may call what takes code, as `exec` does, goes out. What
that is given may have to be exchanged (runtime.importer), in code that is not measured, too.
"""

from __future__ import annotations

from types import CodeType

_TAKE_CODE = frozenset(("exec", "eval", "FunctionType"))
_MARSHAL = "marshal"
_ALL = _TAKE_CODE | {"dump", "dumps"}
_clear = (_TAKE_CODE | {_MARSHAL}).isdisjoint


def takers_in(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of what takes code, where code uses *names*: all with a name of `marshal`'s mean that."""
    return _ALL if _MARSHAL in names else _TAKE_CODE


def hands_over(code: CodeType) -> bool:
    """Return whether *code*, or code nested in it, may call what takes code."""
    waiting = [code]
    wait = waiting.append
    for inner in waiting:
        names = inner.co_names
        if not _clear(names) and not takers_in(names).isdisjoint(names):
            return True
        for constant in inner.co_consts:
            if type(constant) is CodeType:
                wait(constant)
    return False
