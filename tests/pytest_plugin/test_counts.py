"""The fixture `counts` gives a test its own exact counts, with `--instrument` and without; `size` gives it sizes."""

import pytest
from pytest_runs import Project
from sorting_shop import SHOP

TEST_COUNTS = """\
import os, threading
import pytest, shop

def test_own_counts_until_now(counts):
    shop.fib(5)
    assert counts.calls("shop.fib") == 15
    shop.fib(3)
    assert counts.calls("shop.fib") == 20
    assert counts.calls("shop.never") == 0
    assert counts.calls("shop.py:fib") == 20
    assert counts.executions("shop.fib") == 20

def test_a_test_has_no_counts_of_others(counts):
    assert counts.calls("shop.fib") == 0
    assert counts.instructions("shop") == 0

def test_blocks_lie_in_each_other(counts):
    shop.fib(1)
    with counts.of("shop") as outer:
        shop.fib(1)
        with counts.of("shop") as inner:
            shop.fib(5)
            assert (inner.calls("shop.fib"), outer.calls("shop.fib")) == (15, 16)
        shop.fib(1)
    shop.fib(1)
    assert (inner.calls("shop.fib"), outer.calls("shop.fib"), counts.calls("shop.fib")) == (15, 17, 19)

def test_lines(counts):
    with counts.of(shop) as c:
        shop.bubble([3, 2, 1])
    assert c.lines("shop", 28) == c.lines("shop.py", 28) == 3
    assert c.lines("shop", 5) == 0
    with pytest.raises(Exception, match="line 2 of shop has no counted code"):
        c.lines("shop", 2)

def test_methods_inner_functions_and_comprehensions(counts):
    with counts.of("shop") as c:
        basket = shop.Basket()
        for item in range(7):
            basket.add(item)
        basket.prices()
    assert c.calls("shop.Basket.add") == c.calls("shop.Basket.add.price") == c.calls("shop.Basket.add.<locals>.price") == 7
    assert c.calls("shop.Basket.prices") == 1
    assert c.instructions("shop.Basket.prices") > 7 * 4
    assert c.calls("shop") == 16
    assert c.total == c.instructions("shop") > c.instructions("shop.Basket.add") > 7

def test_generators_count_once(counts):
    before = shop.stream(3)
    next(before)
    with counts.of("shop") as c:
        next(before)
        numbers = shop.stream(3)
        next(numbers)
        assert c.calls("shop.stream") == 1
        list(numbers)
    list(before)
    assert c.calls("shop.stream") == 1
    assert counts.calls("shop.stream") == 2

def test_exceptions(counts):
    with counts.of("shop") as c:
        for n in (0, 1, 0):
            try:
                shop.fails(n)
            except ZeroDivisionError:
                pass
    assert c.calls("shop.fails") == 3

def test_only_modules_are_a_scope(counts):
    import json
    for name in ("shpo", "shop.price", "shop.no.such", "json.no_such"):
        with pytest.raises(Exception) as info:
            counts.of(name)
        assert str(info.value).startswith(f"counts.of({name!r}): there is no such module; name a module")
    counts.of("shop", "json.decoder", "email.mime.text", "./.")

def test_an_exception_ends_the_block(counts):
    with pytest.raises(ZeroDivisionError), counts.of("shop") as c:
        shop.fails(0)
    shop.fails(1)
    assert c.calls("shop.fails") == 1

def test_threads(counts):
    with counts.of("shop") as c:
        threads = [threading.Thread(target=shop.fib, args=(10,)) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert c.calls("shop.fib") == 4 * 177

def test_a_fork(counts):
    shop.fib(5)
    child = os.fork()
    if not child:
        shop.fib(3)
        with counts.of("shop") as c:
            shop.fib(2)
        os._exit(10 * counts.calls("shop.fib") + c.calls("shop.fib"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 83
    assert counts.calls("shop.fib") == 15

def test_modules_that_are_imported_later(counts, tmp_path, monkeypatch):
    (tmp_path / "late.py").write_text("def f(): return 1\\nf()\\n")
    monkeypatch.syspath_prepend(tmp_path)
    with counts.of("late") as c:
        import late
        late.f()
    assert c.calls("late.f") == 2
    assert c.lines("late", 2) == 1

def test_exec(counts):
    with counts.of("shop") as c:
        for _ in range(40):
            exec(compile("def f(): return 1\\nf()\\n", shop.__file__, "exec"), {"__name__": "shop", "__file__": shop.__file__})
    assert c.calls("shop.f") == 40

def test_a_lost_cache(counts):
    shop.cached_fib.cache_clear()
    with counts.of("shop") as c:
        shop.cached_fib(20)
        shop.cached_fib(20)
    assert c.calls("shop.cached_fib") == 21

def test_errors(counts):
    from instrument.errors import InstrumentError
    with counts.of("shop") as c:
        pass
    for name, message in {
        "shop.fibb": "no counted function or module is called 'shop.fibb'; did you mean 'shop.fib'",
        "shop.Basket.ad": "did you mean 'shop.Basket.add'",
        "json.loads": "no counted function or module is called 'json.loads': the scope is shop, and the module must have been imported",
        "shop.py:nothing": "no counted function or module is called 'shop.py:nothing'; shop has shop.",
    }.items():
        with pytest.raises(InstrumentError, match=message):
            c.calls(name)
    with pytest.raises(InstrumentError, match="enter it by `with`"):
        counts.of("shop").calls("shop.fib")
    with pytest.raises(InstrumentError, match="this section was entered before"), c:
        pass
    with pytest.raises(InstrumentError, match="needs a scope"):
        counts.of()
    with pytest.raises(InstrumentError, match="is a pattern"):
        counts.of("shop.*")

def test_growth(counts):
    growth = counts.assert_growth("shop.bubble", "n^2", shop.bubble, prepare=shop.make)
    assert growth.law == "n²"
"""
N_TESTS = TEST_COUNTS.count("\ndef test_")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project whose tests use the fixture."""
    return Project(tmp_path_factory.mktemp("counts"), {"shop.py": SHOP, "test_counts.py": TEST_COUNTS})


@pytest.mark.parametrize("options", [(), ("--instrument",), ("--instrument", "--instrument-contexts"), ("-n", "2"), ("--instrument", "-n", "2")])
def test_a_test_has_its_own_exact_counts(project, options):
    """It makes no difference whether the run is counted, and in which process the test runs."""
    output = project.run("-q", "--instrument-report=none", "test_counts.py", *options)
    assert f"{N_TESTS} passed" in output


BODY = """\
import threading
from contextlib import nullcontext
from types import SimpleNamespace
import pytest, shop

@pytest.fixture
def nothing():
    return SimpleNamespace(of=nullcontext)

def test_work(counts):
    numbers = shop.stream(5)
    with counts.of("shop"):
        next(numbers)
        thread = threading.Thread(target=shop.fib, args=(12,))
        thread.start()
        with counts.of("shop"):
            shop.fib(8)
        with pytest.raises(ZeroDivisionError):
            shop.fails(0)
        thread.join()
    list(numbers)
"""


def test_the_counts_of_the_run_stay_as_they_are(project):
    """The fixture takes no counts away, and adds none."""
    project.add({"body/test_body.py": BODY, "plain/test_plain.py": BODY.replace("counts", "nothing")})
    counts = []
    for name in ("body", "plain"):
        project.run("-q", "--instrument=shop", f"{name}/test_{name}.py", INSTRUMENT_DIR=name)
        counts.append(project.counts(name))
    assert counts[0] == counts[1]
    assert counts[0]["shop.py", 31] == 465 + 67


def test_a_failing_assertion_shows_the_count(tmp_path):
    """The explanation of pytest has the function, and the scope."""
    test = "import shop\ndef test_fib(counts):\n    with counts.of('shop') as c:\n        shop.fib(5)\n    assert c.calls('shop.fib') <= 3\n"
    output = Project(tmp_path, {"shop.py": SHOP, "test_fib.py": test}).run("-q", status=1)
    assert "assert 15 <= 3" in output
    assert "where 15 = calls('shop.fib')" in output
    assert "<counts of shop>.calls" in output


def test_the_scope_of_the_project_file_is_that_of_a_test(tmp_path):
    """Without --instrument, too; other code is not found."""
    test = "import shop, other\ndef test_scope(counts):\n    shop.fib(5)\n    assert counts.calls('shop.fib') == 15\n    counts.calls('other.f')\n"
    files = {"shop.py": SHOP, "other.py": "def f(): return 1\n", "test_scope.py": test, "pyproject.toml": '[tool.instrument]\nscope = ["shop"]\n'}
    output = Project(tmp_path, files).run("-q", status=1)
    assert "InstrumentError: no counted function or module is called 'other.f': the scope is shop" in output


def test_executed_text_without_a_module_is_named_by_its_file(tmp_path):
    """Its namespace has a `__file__` and no `__name__`, as that of a tool that runs a configuration."""
    loader = "def load(path):\n    space = {'__file__': path}\n    exec(compile(open(path).read(), path, 'exec'), space)\n    return space\n"
    test = """\
import os
def test_text(counts):
    with counts.of("./") as c:
        import loader
        loader.load(os.path.abspath("text.py"))["price"](1)
    assert c.calls("text.py:price") == 1
    c.calls("text.prise")
"""
    files = {"loader.py": loader, "text.py": "def price(n):\n    return n\n", "test_text.py": test}
    output = Project(tmp_path, files).run("-q", status=1)
    assert "InstrumentError: no counted function or module is called 'text.prise'; did you mean 'text.py:price'" in output


def test_fixtures_of_the_project_have_precedence(tmp_path):
    """Names of fixtures are common words."""
    test = "import pytest\n@pytest.fixture\ndef counts(): return 1\n@pytest.fixture\ndef size(): return 2\ndef test_own(counts, size): assert (counts, size) == (1, 2)\n@pytest.mark.parametrize('size', [3])\ndef test_direct(size): assert size == 3\n"
    assert "2 passed" in Project(tmp_path, {"test_own.py": test}).run("-q")


def test_a_module_with_the_name_of_the_package_is_named(tmp_path):
    """The fixture would get the project's module. Other tests are not affected."""
    project = Project(tmp_path, {"instrument.py": "", "test_own.py": "def test_own(counts): pass\ndef test_other(): pass\n"})
    output = project.run("-q", status=1)
    assert "the fixture counts: " in output
    assert "has the name of the package that counts; rename it (README, limit own-name)" in output
    assert "1 passed, 1 error" in output


@pytest.mark.parametrize(
    ("arguments", "ini", "ids"),
    [
        ((), "", "16 32 64 128 256"),
        ((), "instrument_sizes = 2 4\n", "2 4"),
        (("--instrument-sizes=100,1000,100",), "instrument_sizes = 2 4\n", "100 1000"),
    ],
)
def test_a_test_runs_once_with_each_size(tmp_path, arguments, ini, ids):
    """The option has precedence over the ini option."""
    project = Project(tmp_path, {"test_size.py": "def test_size(size): assert type(size) is int\n", "pytest.ini": f"[pytest]\n{ini}"})
    output = project.run("-v", *arguments)
    assert [each for each in ids.split() if f"test_size[{each}] PASSED" in output] == ids.split()
    assert f"{len(ids.split())} passed" in output


@pytest.mark.parametrize("sizes", ["3,x", "0,1", "-4"])
def test_impossible_sizes_are_named(tmp_path, sizes):
    """Also if no test asks for a size."""
    output = Project(tmp_path, {"test_size.py": ""}).run(f"--instrument-sizes={sizes}", status=4)
    assert f"--instrument-sizes={sizes}: " in output
    assert "is no size; say whole numbers from 1 on, such as 16,32,64,128,256" in output
