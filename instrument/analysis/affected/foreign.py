"""Effects of foreign functions and of syntax: stores and calls of arguments, and calls of special methods.

Names of functions come in, or syntax nodes. The answers are about builtins and the standard library, by name. A name
that is not known may do all.
"""

from __future__ import annotations

import ast
import bisect
import builtins
import collections
import copy
import itertools
import math
import operator
import os
import re
import string
import textwrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: Methods of containers, files, databases, futures and context variables that keep their arguments or take values out.
STORING = frozenset(
    [
        "append",
        "appendleft",
        "extend",
        "extendleft",
        "insert",
        "add",
        "update",
        "setdefault",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "discard",
        "clear",
        "sort",
        "reverse",
        "move_to_end",
        "put",
        "put_nowait",
        "set",
        "write",
        "writelines",
        "intersection_update",
        "difference_update",
        "symmetric_difference_update",
        "rotate",
        "write_text",
        "write_bytes",
        "dump",
        "execute",
        "executemany",
        "submit",
        "set_result",
        "send",
        "setattr",
        "__setattr__",
        "__setitem__",
        "__delattr__",
        "__delitem__",
        "heappush",
        "heappop",
        "heapreplace",
        "next",
        "insort",
    ]
)
#: Functions and methods that store outside of the program.
OUTSIDE = frozenset(("write_text", "write_bytes", "dump", "execute", "executemany", "submit"))
#: Functions that return an object which another holds.
TAKING = frozenset(("get", "setdefault", "pop", "getattr", "vars", "globals"))
#: Builtins that store, whatever their arguments are.
SETTERS = frozenset(("setattr", "delattr", "globals", "vars", "exec", "eval", "next", "anext"))
#: Functions and methods that call their arguments and keep nothing.
_CALLERS = frozenset(("map", "filter", "sorted", "min", "max", "iter", "reduce", "partial", "groupby", "sub", "subn"))
#: Methods that keep an argument and call it.
_STORING_CALLERS = frozenset(("submit", "sort", "set"))
_TYPES = (str, bytes, int, float, complex, tuple, frozenset, range, memoryview, slice, re.Pattern)
_MODULES = (bisect, os.path, re, math, operator, itertools, collections, copy, string, textwrap)
#: Functions and methods that neither keep nor call their arguments, but by operators.
_PURE = frozenset(
    (
        *(name for each in (builtins, *_TYPES, *_MODULES) for name in dir(each) if not name.startswith("__")),
        *("get", "keys", "items", "values", "copy", "deepcopy", "namedtuple", "wraps", "warn"),
        *("debug", "info", "warning", "error", "critical", "exception", "log", "isEnabledFor", "getLogger"),
        *("signature", "getfullargspec", "isfunction", "isclass", "ismethod", "unwrap", "getdoc", "update_wrapper"),
        *(
            "iscoroutinefunction",
            "isgeneratorfunction",
            "raises",
            "approx",
            "skip",
            "fail",
            "group",
            "groups",
            "start",
            "end",
            "span",
            "groupdict",
            "super",
        ),
    )
) - (STORING | SETTERS | _CALLERS | {"open", "input", "__import__", "methodcaller"})
_ARITHMETIC = frozenset(
    f"__{prefix}{name}__"
    for name in (
        *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and"),
        *("xor", "or", "neg", "pos", "invert", "abs"),
    )
    for prefix in ("", "r", "i")
)
_TEXTS = frozenset(("__str__", "__repr__", "__format__"))
_HASHES = frozenset(("__hash__", "__eq__"))
_ITERATION = frozenset(("__iter__", "__next__", "__getitem__", "__len__", "__length_hint__"))
_TRUTH = frozenset(("__bool__", "__len__"))
_ITEMS = frozenset(("__getitem__", "__setitem__", "__delitem__", "__missing__", "__class_getitem__", "__index__"))
_ATTRIBUTES = frozenset(
    ("__getattr__", "__getattribute__", "__get__", "__setattr__", "__set__", "__delattr__", "__delete__")
)
_COMPARISON = frozenset(("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"))
_CALL = frozenset(("__call__", "__get__", "__getattr__", "__getattribute__", "__init_subclass__", "__set_name__"))
_AWAITING = frozenset(("__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__", "__next__"))
#: The special methods that each kind of syntax may call; `__next__` stands for the code of generators and coroutines.
_PROTOCOLS: tuple[tuple[tuple[type[ast.AST], ...], frozenset[str]], ...] = (
    ((ast.Subscript,), _ITEMS | _HASHES),
    ((ast.Attribute,), _ATTRIBUTES),
    ((ast.In, ast.NotIn), _COMPARISON | _HASHES | _ITERATION),
    ((ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE), _COMPARISON),
    ((ast.BinOp, ast.AugAssign, ast.UnaryOp), _ARITHMETIC | _TEXTS | _TRUTH),
    ((ast.BoolOp, ast.If, ast.While, ast.IfExp, ast.Assert), _TRUTH),
    ((ast.For, ast.comprehension, ast.Starred, ast.YieldFrom), _ITERATION | _TRUTH),
    ((ast.Await, ast.AsyncFor, ast.AsyncWith), _AWAITING),
    ((ast.With,), frozenset(("__enter__", "__exit__"))),
    ((ast.JoinedStr,), _TEXTS),
    ((ast.Dict, ast.Set, ast.DictComp, ast.SetComp, ast.Match), _HASHES),
    ((ast.Call,), _CALL),
)
#: Functions and methods that call no special methods of their arguments but those of `_QUIET_PROTOCOLS`.
_QUIET = frozenset(
    (
        *("isinstance", "issubclass", "getattr", "hasattr", "setattr", "delattr", "append", "appendleft", "get", "add"),
        *("setdefault", "type", "super", "len", "callable", "id", "range", "namedtuple", "cast", "warn", "compile"),
        *("object", "classmethod", "staticmethod", "property", "insert", "popleft", "pop", "discard", "remove"),
        *("wraps", *(name for each in (str, os.path) for name in dir(each) if not name.startswith("__"))),
    )
) - {"join", "format", "format_map", "translate"}
_QUIET_PROTOCOLS = _HASHES | _ATTRIBUTES | _TRUTH | {"__instancecheck__", "__subclasscheck__", "__fspath__"}


def may_store(name: str) -> bool:
    """Return whether a foreign function called *name* may store its arguments."""
    without_effect = name in _PURE or name in _CALLERS or name in STORING or name in SETTERS
    return not without_effect and not name[:1].isupper() and not name.startswith("assert")


def may_call(name: str) -> bool:
    """Return whether a foreign function called *name* may call its arguments."""
    return name not in _PURE and name not in STORING - _STORING_CALLERS and not name.startswith("assert")


def protocols_of(name: str) -> frozenset[str] | None:
    """Return the special methods that a foreign function called *name* may call; None for all."""
    is_quiet = name in _QUIET or name.endswith(("Error", "Exception", "Warning"))
    return _QUIET_PROTOCOLS if is_quiet else None


def protocols_of_syntax(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the special methods that the syntax of *nodes* may call."""
    types = {type(node) for node in nodes}
    found = {name for kinds, names in _PROTOCOLS if not types.isdisjoint(kinds) for name in names}
    if types & {ast.Tuple, ast.List} and any(
        isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Store) for node in nodes
    ):
        found |= _ITERATION
    return frozenset(found)
