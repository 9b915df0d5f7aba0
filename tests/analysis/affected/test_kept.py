"""Functions that may return a result which changed code computed in an earlier test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instrument.analysis.affected.kept import Calls, uses_of_kept_results
from instrument.analysis.affected.units import Units
from instrument.analysis.affected.work import members, set_of


class Program:
    """The functions of a *source*, for questions about the tests that ran them."""

    def __init__(self, source):
        units = Units(source.encode())
        self.names = sorted(name for name in units.by_name if name != "<module>")
        self._known = [*self.names, "<module>"]
        self._calls = Calls([units.by_name[name][0] for name in self._known])

    def uses(self, changed, *order, before=()):
        """Return for each test the functions that may return kept results, for tests that ran these names in *order*.

        *before* has the names that ran in each context outside of tests.
        """
        uses, _ = uses_of_kept_results(
            self._calls, self._numbers(changed), map(self._numbers, before), map(self._numbers, order)
        )
        return [{self._known[number] for number in members(found)} for found in uses]

    def affects(self, changed, *order, before=()):
        """Return the numbers of the tests that did not run *changed*, and may use its kept result."""
        uses = self.uses(changed, *order, before=before)
        return [number for number, work in enumerate(order) if uses[number] and changed not in work.split()]

    def _numbers(self, names):
        return set_of(map(self._known.index, names.split() if isinstance(names, str) else names))


CACHES = {
    "a global variable": """\
_table = None
def get():
    global _table
    if _table is None:
        _table = build()
    return _table
""",
    "a global container": "CACHE = {}\ndef get(k):\n    if k not in CACHE:\n        CACHE[k] = build()\n    return CACHE[k]\n",
    "a method of a container": "CACHE = {}\ndef get(k):\n    return CACHE.get(k) or CACHE.setdefault(k, build())\n",
    "a local name of it": "CACHE = {}\ndef get(k):\n    c = CACHE\n    if k not in c: c[k] = build()\n    return c[k]\n",
    "a result that holds it": """\
CACHE = {}
def cache():
    return CACHE
def get(k):
    c = cache()
    if k not in c: c[k] = build()
    return c[k]
""",
    "a mutable default": "def get(c=[]):\n    if not c:\n        c += [build()]\n    return c[0]\n",
    "an exception": "CACHE = {}\ndef get(k):\n    try: return CACHE[k]\n    except KeyError:\n        CACHE[k] = build()\n        return CACHE[k]\n",
    "a class attribute": "class A:\n    one = None\ndef get():\n    if A.one is None:\n        A.one = build()\n    return A.one\n",
    "a file": "def get(p):\n    if not p.exists():\n        p.write_text(build())\n    return p.read_text()\n",
    "a database": "def get(db):\n    if not db.fetchone():\n        db.execute('insert', build())\n    return db.fetchone()\n",
    "a function of another package": "from other import cache\ndef get(k):\n    if k not in cache.all():\n        cache.keep(k, build())\n",
    "a decorator": "from functools import cache\n@cache\ndef get(k):\n    return build()\n",
    "a callback": "CACHE = {}\ndef get(k, f):\n    if k not in CACHE:\n        CACHE[k] = f()\n    return CACHE[k]\ndef user():\n    get(1, build)\n",
    "a registry": "CACHE = {}\nALL = {}\ndef get(k):\n    if k not in CACHE:\n        CACHE[k] = ALL[k]()\n    return CACHE[k]\nALL['x'] = build\n",
    "a computed name": "CACHE = {}\ndef get(k):\n    if k not in CACHE:\n        CACHE[k] = globals()['bui' + k]()\n    return CACHE[k]\n",
}
BUILD = "def build():\n    return 1\n"


@pytest.mark.parametrize("kind", CACHES)
def test_kinds_of_caches(kind):
    """The second test used the cache, which the first one filled."""
    program = Program(BUILD + CACHES[kind])
    others = " ".join({"user", "cache"} & set(program.names))
    assert program.affects("build", f"get build {others}", f"get {others}", others) == [1]


@pytest.mark.parametrize("kind", CACHES)
def test_a_cache_with_several_keys(kind):
    """The first test filled another key, without changed code."""
    program = Program(BUILD + CACHES[kind])
    others = " ".join({"user", "cache"} & set(program.names))
    assert program.affects("build", f"get {others}", f"get build {others}", f"get {others}") == [2]


METHODS = {
    "an attribute": "if self.table is None:\n            self.table = self.build()\n        return self.table",
    "of a frozen class": "if self.table is None:\n            object.__setattr__(self, 'table', self.build())",
    "a container of the class": "if 1 not in self.cache: self.cache[1] = self.build()\n        return self.cache[1]",
    "in a variable": "c = self.cache\n        if 1 not in c: c[1] = self.build()\n        return c[1]",
    "in its variables": "d = self.__dict__\n        if 'x' not in d: d['x'] = self.build()\n        return d['x']",
    "by a computed name": "if 1 not in self.cache: self.cache[1] = getattr(self, 'bui' + 'ld')()",
}


@pytest.mark.parametrize("kind", METHODS)
def test_objects_that_outlive_tests(kind):
    """An object was made in an import. Its method keeps a result in it."""
    source = f"""\
class Config:
    cache = {{}}
    def __init__(self):
        self.table = None
    def get(self):
        {METHODS[kind]}
    def build(self):
        return 1
CONFIG = Config()
"""
    works = "Config.get Config.build", "Config.get"
    before = ["<module> Config Config.__init__"]
    assert Program(source).affects("Config.build", *works, before=before) == [1]


def test_objects_that_end_with_their_test():
    """Each test makes the object, and no code stores it elsewhere."""
    source = """\
class Basket:
    def __init__(self):
        self.sum = None
    def total(self):
        if self.sum is None:
            self.sum = self.compute()
        return self.sum
    def compute(self):
        return 1
"""
    works = "Basket.__init__ Basket.total Basket.compute", "Basket.__init__ Basket.total"
    assert Program(source).affects("Basket.compute", *works) == []


PURE = {
    "no store": "def get(x):\n    return build() if x else 0\n",
    "an own container": "def get(x):\n    c = []\n    if x: c.append(build())\n    return c\n",
    "a call that always happens": "LOG = []\ndef get(x):\n    LOG.append(build())\n",
    "functions of builtin types": "def get(x):\n    return ', '.join(sorted(x)) if x else build()\n",
    "another method of this name": "C = {}\ndef get(x):\n    if x: C[x] = x.split()\ndef outer():\n    def split():\n        return build()\n",
}


@pytest.mark.parametrize("kind", PURE)
def test_functions_that_keep_nothing(kind):
    """The second test cannot use a result of the first one."""
    program = Program(BUILD + PURE[kind])
    others = " ".join({"outer", "outer.<locals>.split"} & set(program.names))
    assert program.affects("build", f"get build {others}", "get") == []


def test_a_decorator_that_answers_calls():
    """`user` calls `cached`, which ran in an earlier test only, and its decorator has the result."""
    program = Program(
        BUILD + "from functools import lru_cache\n@lru_cache\ndef cached():\n    return build()\ndef user():\n    cached()\n"
    )
    assert program.affects("build", "user cached build", "user") == [1]
    assert program.affects("cached", "user cached", "user") == [1]
    assert program.affects("build", "cached build", "user") == [1]


def test_a_method_for_missing_attributes():
    """It runs once for each attribute, which the object has from then on."""
    source = """\
class Settings:
    def __getattr__(self, name):
        self.__dict__[name] = LOADERS[name]()
        return self.__dict__[name]
def build():
    return 1
def user():
    return SETTINGS.x
LOADERS = {'x': build}
SETTINGS = Settings()
"""
    before = ["<module> Settings"]
    assert Program(source).affects("build", "user Settings.__getattr__ build", "user", before=before) == [1]


def test_a_decorator_of_the_project():
    """Its code is counted, and shows whether it keeps a result."""
    memo = "C = {}\ndef deco(f):\n    def inner(k):\n        if k not in C: C[k] = f(k)\n        return C[k]\n    return inner\n"
    plain = "def deco(f):\n    def inner(k):\n        return f(k)\n    return inner\n"
    works = "deco.<locals>.inner get build", "deco.<locals>.inner"
    for decorator, affected in ((memo, [1]), (plain, [])):
        program = Program(BUILD + decorator + "@deco\ndef get(k):\n    return build()\n")
        assert program.affects("build", *works, before=["<module> deco"]) == affected


def test_an_alias():
    """`alias` has a decorator that its function does not have in the source."""
    program = Program(BUILD + "C = []\ndef get():\n    if not C: C.append(alias())\nalias = partial(build)\n")
    assert program.affects("build", "get build", "get") == [1]


def test_a_generator_that_is_kept():
    """Code runs a generator without its name."""
    program = Program("C = {}\ndef build():\n    yield 1\ndef get(k, items):\n    if k not in C: C[k] = list(items)\n")
    assert program.affects("build", "get build", "get") == [1]


def test_a_result_from_before_the_tests():
    """Code outside of tests runs first. Fixtures are contexts of their own."""
    program = Program(BUILD + CACHES["a global variable"])
    assert program.affects("build", "get", before=["<module>", "get build"]) == [0]
    assert program.affects("build", "get", before=["get", "build"]) == []


def test_a_result_that_is_made_of_another():
    """`summary` keeps a result that it computed from the one that `get` had kept."""
    program = Program(BUILD + CACHES["a global variable"] + "S = {}\ndef summary():\n    if not S: S['x'] = get()\n")
    assert program.affects("build", "get build", "summary get", "summary") == [1, 2]


PROGRAM = Program(BUILD + CACHES["a global variable"] + "def pure(x):\n    return build() if x else 0\ndef user():\n    get()\n")


@given(st.lists(st.sets(st.sampled_from(PROGRAM.names)), max_size=6), st.sampled_from(PROGRAM.names))
def test_kept_results_are_of_functions_that_ran(order, changed):
    """Functions that may return kept results ran with the changed code, or after it."""
    uses = PROGRAM.uses([changed], *order)
    first = next((number for number, names in enumerate(order) if changed in names), len(order))
    assert not any(uses[:first])
    assert all(changed not in found for found in uses)
    assert all(found <= order[number] for number, found in enumerate(uses))


@given(st.lists(st.sets(st.sampled_from(PROGRAM.names)), max_size=5), st.sets(st.sampled_from(PROGRAM.names)))
def test_more_tests_add_no_doubt_about_earlier_ones(order, last):
    """A test cannot use a result of a later one."""
    assert PROGRAM.uses(["build"], *order, last)[:-1] == PROGRAM.uses(["build"], *order)


def test_a_method_that_makes_an_object_of_its_own_class_runs_the_constructor():
    """The class is not named."""
    program = Program("""\
class Table:
    one = None
    @classmethod
    def get(cls):
        if cls.one is None:
            cls.one = cls()
        return cls.one
    def __init__(self):
        self.rows = build()
def build():
    return 1
""")
    assert program.affects("build", "Table.get Table.__init__ build", "Table.get") == [1]


def test_a_function_that_stores_the_mark_that_something_is_done_needs_no_value():
    """The stored value is a constant."""
    program = Program("""\
done = False
def ready():
    if not is_done():
        build()
        mark()
def mark():
    global done
    done = True
def is_done():
    return done
def build():
    return 1
""")
    assert program.affects("build", "ready is_done build mark", "ready is_done") == [1]
