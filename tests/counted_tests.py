"""A program that begins contexts as the pytest plugin does, for tests of commands that show them."""

PROGRAM = """\
import os, subprocess, sys
def price(item):
    if item > 2:
        return item * 2
    return item
def lazy(n):
    for i in range(n):
        yield price(i)
class Basket:
    def add(self, item):
        def inner():
            return price(item)
        return inner()
def never():
    return 1
def fails(x):
    return 1 // x
if len(sys.argv) > 1:
    price(9)
    sys.exit()
from instrument.record import recorder
begin = recorder.current().begin_context
begin("t.py::test_one|setup")
price(1)
generator = lazy(5)
next(generator)
begin("t.py::test_one|call")
next(generator)
Basket().add(7)
subprocess.run([sys.executable, __file__, "child"], env={**os.environ, "PYTEST_CURRENT_TEST": "t.py::test_one (call)"}, check=True)
begin("t.py::test_one|teardown")
list(generator)
begin("t.py::test_two[a b]|call")
for n in range(100):
    try:
        fails(n % 2)
    except ZeroDivisionError:
        pass
if not os.fork():
    price(8)
    sys.exit()
os.wait()
begin("session fixture db")
price(0)
"""
