"""The counts of measured cells equal those of the standard library's `trace`."""

import pytest
from notebook_shells import run_notebooks

pytestmark = pytest.mark.slow

#: Notebooks by name. A line of dashes separates cells. Cells that begin with `%%instrument` are measured.
NOTEBOOKS = {
    "function": """
def price(items):
    total = 0
    for item in items:
        if item > 100:
            total += 1
        else:
            total += item
    return total
----
%%instrument
bill = [price(range(n))
        for n in range(9)]
if bill:
    x = 1
else:
    x = 2
sum(bill)
----
%%instrument
price([1, 200])
""",
    "the same cell twice": """
%%instrument
def f(n):
    return n
for i in range(3):
    f(i)
----
%%instrument
def f(n):
    return n
for i in range(3):
    f(i)
""",
    "redefined functions": """
def f():
    return 1
----
old = f
----
def f():
    x = 2
    return x
----
%%instrument
f(), old(), f()
----
def f(): return 3
----
%%instrument
f(), old()
""",
    "suspended generator": """
def gen():
    for i in range(9):
        yield i
    return 1
----
%%instrument
a = gen()
next(a)
----
b = (x * x for x in range(9))
next(b); next(a)
----
%%instrument
next(a)
next(b)
for x in b:
    pass
----
%%instrument
list(a)
""",
    "raises": """
def f(n):
    if n == 0:
        raise ValueError
    try:
        return f(n - 1)
    finally:
        x = 1
----
%%instrument
x = 0
f(5)
x = 1
----
%%instrument
try:
    f(3)
except ValueError:
    x = 2
----
%%instrument
assert x == 3, f(0)
""",
    "interrupted": """
import signal
def stop(n):
    for i in range(n):
        pass
    signal.raise_signal(signal.SIGINT)
    return 1
----
%%instrument
for i in range(9):
    if i == 4:
        stop(i)
print(i)
----
%%instrument
stop
""",
    "threads": """
import threading
def work(n):
    s = 0
    for i in range(n):
        s += i
    return s
----
%%instrument
threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
for t in threads:
    t.start()
for t in threads:
    t.join()
""",
    "comprehensions": """
%%instrument
a = [x for x in range(5) if x % 2]
b = {x: y for x in range(3)
     for y in range(x)}
c = sum(x
        for x in a)
d = [[y for y in range(x)]
     for x in range(4)]
{*a}
""",
    "await": """
import asyncio
async def pause(n):
    for i in range(n):
        await asyncio.sleep(0)
    return n
----
%%instrument
x = await pause(3)
async with asyncio.Lock() as lock:
    y = 1
r = await asyncio.gather(pause(2), pause(4))
[z async for z in (await pause(i) for i in range(2))]
----
gate = asyncio.Event()
async def wait():
    await gate.wait()
    return await pause(4)
task = asyncio.ensure_future(wait())
await asyncio.sleep(0)
----
%%instrument
for i in range(2):
    await asyncio.sleep(0)
gate.set()
r = await task
""",
    "classes": """
class Base:
    n = 0
    def __init__(self):
        self.n += 1
    @property
    def double(self):
        return 2 * self.n
    def __repr__(self):
        return 'Base'
----
%%instrument
class Derived(Base):
    m = [i for i in range(3)]
    def __init__(self):
        super().__init__()
        self.d = self.double
for i in range(2):
    Derived()
Derived()
""",
    "closures and lambdas": """
def outer(n):
    def inner(m):
        return n + m
    return inner
add = outer(1)
twice = lambda f: (lambda x:
    f(f(x)))
----
%%instrument
add(2), outer(3)(4)
twice(add)(5)
list(map(lambda x: x,
  range(3)))
""",
    "decorators": """
import functools
def log(f):
    @functools.wraps(f)
    def wrapper(*a):
        return f(*a)
    return wrapper
----
@log
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
----
%%instrument
fib(7)
@functools.lru_cache
def g(n):
    return n
[g(i % 3) for i in range(9)]
""",
    "match and while": """
%%instrument
n = 0
while n < 9:
    match n % 4:
        case 0:
            n += 1
        case 1 | 2:
            n += 2
            continue
        case _:
            n += 1
    if n == 8: break
else:
    n = -1
""",
    "magics": """
def f(n):
    return n
----
%%instrument
%time f(1)
x = %sx echo a
!true
f(2)
get_ipython().run_cell('f(3)')
""",
    "one statement": """
def f(n):
    return n
----
%%instrument
f(1)
----
%%instrument
for i in range(3): f(i)
""",
    "names of the measured cell": """
%%instrument
y = 1
def f():
    return 1
----
%%instrument
f() + y
""",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Return the outcomes of all notebooks: under `trace`, and measured."""
    notebooks = [text.strip().split("\n----\n") for text in NOTEBOOKS.values()]
    folder = tmp_path_factory.mktemp("notebooks")
    traced, measured = (run_notebooks(notebooks, folder, is_traced=is_traced) for is_traced in (True, False))
    return dict(zip(NOTEBOOKS, zip(traced, measured, strict=True), strict=True))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_counts_equal_those_of_trace(outcomes, name):
    """The counts of the measured cell, and of functions of earlier cells, are those of `trace`, line by line."""
    traced, measured = outcomes[name]
    expected = [outcome.counts for outcome in traced]

    assert any(expected)
    assert [outcome.counts for outcome in measured] == expected
